"""A stand-in for one ComfyUI server: same routes, same frames, same faults, real pictures."""
