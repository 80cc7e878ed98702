"""/api/jobs: the one view that tells running, pending, done and lost apart (newer versions)."""

from typing import Any

from aiohttp import web

from simulators.comfyui.process import Process
from simulators.comfyui.prompts import Item

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")
SORT_FIELDS = ("created_at", "execution_duration")


class JobRoutes:
    def __init__(self, process: Process) -> None:
        self._process = process

    def table(self) -> list[web.RouteDef]:
        routes: list[web.RouteDef] = []
        if self._process.mode.has_jobs:
            routes += [web.get("/api/jobs", self.jobs), web.get("/api/jobs/{id}", self.job)]
        if self._process.mode.has_job_cancel:
            routes += [
                web.post("/api/jobs/cancel", self.cancel_many),
                web.post("/api/jobs/{id}/cancel", self.cancel_one),
            ]
        return routes

    def _queued(self) -> list[dict[str, Any]]:
        running = self._process.queue.running()
        waiting = sorted(self._process.queue.pending(), key=lambda item: item[0])
        jobs = [queued_job(running, "in_progress")] if running else []
        return jobs + [queued_job(item, "pending") for item in waiting]

    async def job(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        for job in self._queued():
            if job["id"] == wanted:
                return web.json_response(job)
        entry = self._process.history.get(wanted)
        if entry is None:
            return web.json_response({"error": "Job not found"}, status=404)
        return web.json_response(finished_job(entry, details=True))

    async def jobs(self, request: web.Request) -> web.Response:
        query = request.query
        wanted = [s.strip() for s in query.get("status", "").split(",") if s.strip()]
        bad = [status for status in wanted if status not in STATUSES]
        sort_by = query.get("sort_by", "created_at")
        order = query.get("sort_order", "desc")
        if bad or sort_by not in SORT_FIELDS or order not in {"asc", "desc"}:
            message = f"Invalid status value(s): {', '.join(bad)}" if bad else "Invalid sorting"
            return web.json_response({"error": message}, status=400)
        try:
            limit = int(query["limit"]) if "limit" in query else None
            offset = max(0, int(query.get("offset", 0)))
        except ValueError:
            return web.json_response({"error": "limit and offset must be integers"}, status=400)
        jobs = self._queued()
        jobs += [finished_job(entry) for _, entry in self._process.history.entries()]
        if wanted:
            jobs = [job for job in jobs if job["status"] in wanted]
        jobs.sort(key=_duration if sort_by != "created_at" else _created, reverse=order == "desc")
        end = None if limit is None else offset + limit
        page = jobs[offset:end]
        pagination = {
            "offset": offset,
            "limit": limit,
            "total": len(jobs),
            "has_more": offset + len(page) < len(jobs),
        }
        return web.json_response({"jobs": page, "pagination": pagination})

    def _cancel(self, prompt_id: str) -> bool:
        """Pending or running, in one step: nothing can start or end in between."""
        running = self._process.queue.running()
        if running is not None and running[1] == prompt_id:
            self._process.interrupted.set()
            return True
        if self._process.queue.delete(prompt_id):
            self._process.log.deleted(prompt_id)
            self._process.broadcast_status()
            return True
        return False

    async def cancel_one(self, request: web.Request) -> web.Response:
        return web.json_response({"cancelled": self._cancel(request.match_info["id"])})

    async def cancel_many(self, request: web.Request) -> web.Response:
        body = await request.json()
        cancelled = [self._cancel(prompt_id) for prompt_id in body["job_ids"]]
        return web.json_response({"cancelled": any(cancelled)})


def _created(job: dict[str, Any]) -> float:
    return float(job.get("create_time") or 0)


def _duration(job: dict[str, Any]) -> float:
    return float(job.get("execution_end_time", 0)) - float(job.get("execution_start_time", 0))


def _base(number: float, prompt_id: str, extra_data: dict[str, Any], status: str) -> dict[str, Any]:
    job = {"id": prompt_id, "status": status, "priority": number, "outputs_count": 0}
    if "create_time" in extra_data:
        job["create_time"] = extra_data["create_time"]
    workflow = (extra_data.get("extra_pnginfo") or {}).get("workflow") or {}
    if "id" in workflow:
        job["workflow_id"] = workflow["id"]
    return job


def queued_job(item: Item, status: str) -> dict[str, Any]:
    number, prompt_id, _, extra_data, _ = item
    return _base(number, prompt_id, extra_data, status)


def finished_job(entry: dict[str, Any], *, details: bool = False) -> dict[str, Any]:
    number, prompt_id, graph, extra_data, _ = entry["prompt"]
    messages = dict(entry["status"]["messages"])
    last_kind, last = entry["status"]["messages"][-1]
    job = _base(number, prompt_id, extra_data, _final_status(entry))
    job["execution_start_time"] = messages["execution_start"]["timestamp"]
    job["execution_end_time"] = last["timestamp"]
    if last_kind == "execution_error":
        job["execution_error"] = last
    files = [
        {**item, "nodeId": node_id, "mediaType": media_type}
        for node_id, ui in entry["outputs"].items()
        for media_type, items in ui.items()
        for item in items
        if isinstance(item, dict)
    ]
    job["outputs_count"] = len(files)
    saved = [item for item in files if item["type"] == "output"]
    if files:
        job["preview_output"] = (saved or files)[0]
    if details:
        job["outputs"] = entry["outputs"]
        job["execution_status"] = entry["status"]
        job["workflow"] = {"prompt": graph, "extra_data": extra_data}
    return job


def _final_status(entry: dict[str, Any]) -> str:
    if entry["status"]["status_str"] == "success":
        return "completed"
    interrupted = entry["status"]["messages"][-1][0] == "execution_interrupted"
    return "cancelled" if interrupted else "failed"
