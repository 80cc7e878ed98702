"""Apps that take a link, where to get them, and how a link opens one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

IOS: Final = "ios"
ANDROID: Final = "android"
WINDOWS: Final = "windows"
MACOS: Final = "macos"
LINUX: Final = "linux"
PLATFORMS: Final = (IOS, ANDROID, WINDOWS, MACOS, LINUX)
PLATFORM_TITLES: Final = {
    IOS: "iPhone, iPad",
    ANDROID: "Android",
    WINDOWS: "Windows",
    MACOS: "macOS",
    LINUX: "Linux",
}

APPLE: Final = "https://apps.apple.com/app/id"
GOOGLE: Final = "https://play.google.com/store/apps/details?id="
GITHUB: Final = "https://github.com/"


@dataclass(frozen=True, slots=True)
class App:
    """`opens`: the address that gives it a link; `{link}` raw, `{query}` and `{name}` escaped."""

    name: str
    opens: str
    get: str

    def deeplink(self, link: str, title: str) -> str:
        return self.opens.format(link=link, query=quote(link, safe=""), name=quote(title, safe=""))


_HAPP = "happ://add/{link}"
_V2RAYTUN = "v2raytun://import/{link}"
_HIDDIFY = "hiddify://import/{link}#{name}"
_SING_BOX = "sing-box://import-remote-profile?url={query}#{name}"
_CLASH = "clash://install-config?url={query}&name={name}"
_HIDDIFY_GET = f"{GITHUB}hiddify/hiddify-app/releases/latest"
_VERGE = App("Clash Verge", _CLASH, f"{GITHUB}clash-verge-rev/clash-verge-rev/releases/latest")
_HIDDIFY_DESKTOP = App("Hiddify", _HIDDIFY, _HIDDIFY_GET)
_HAPP_DESKTOP = App("Happ", _HAPP, f"{GITHUB}Happ-proxy/happ-desktop/releases/latest")
_FLCLASH = App("FlClash", _CLASH, f"{GITHUB}chen08209/FlClash/releases/latest")

APPS: Final = {
    IOS: (
        App("Happ", _HAPP, f"{APPLE}6504287215"),
        App("v2RayTun", _V2RAYTUN, f"{APPLE}6476628951"),
        App("Streisand", "streisand://import/{link}#{name}", f"{APPLE}6450534064"),
        App("Hiddify", _HIDDIFY, f"{APPLE}6596777532"),
        App("sing-box", _SING_BOX, f"{APPLE}6451272673"),
        App("Stash", "stash://install-config?url={query}&name={name}", f"{APPLE}1596063349"),
    ),
    ANDROID: (
        App("Happ", _HAPP, f"{GOOGLE}com.happproxy"),
        App("v2RayTun", _V2RAYTUN, f"{GOOGLE}com.v2raytun.android"),
        App("Hiddify", _HIDDIFY, f"{GOOGLE}app.hiddify.com"),
        App(
            "v2rayNG",
            "v2rayng://install-sub?url={query}&name={name}",
            f"{GITHUB}2dust/v2rayNG/releases/latest",
        ),
        App("sing-box", _SING_BOX, f"{GOOGLE}io.nekohasekai.sfa"),
        App(
            "Clash Meta",
            "clashmeta://install-config?url={query}&name={name}",
            f"{GITHUB}MetaCubeX/ClashMetaForAndroid/releases/latest",
        ),
    ),
    WINDOWS: (_HAPP_DESKTOP, _HIDDIFY_DESKTOP, _VERGE, _FLCLASH),
    MACOS: (
        App("Happ", _HAPP, f"{APPLE}6504287215"),
        App("v2RayTun", _V2RAYTUN, f"{APPLE}6476628951"),
        _HIDDIFY_DESKTOP,
        _VERGE,
    ),
    LINUX: (_HIDDIFY_DESKTOP, _VERGE, _FLCLASH),
}


def platform_of(user_agent: str) -> str:
    """A guess that only decides which list is open at first; empty: no idea."""
    agent = user_agent.lower()
    for word, platform in (
        ("iphone", IOS),
        ("ipad", IOS),
        ("android", ANDROID),
        ("windows", WINDOWS),
        ("mac os", MACOS),
        ("linux", LINUX),
    ):
        if word in agent:
            return platform
    return ""
