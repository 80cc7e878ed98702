"""The outside world: ComfyUI, the job records, the object store and the event stream."""
