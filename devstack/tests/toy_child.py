"""A service reduced to what a supervisor sees of it: health, a log line, a stop, a worker."""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer


class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Health)
worker = subprocess.Popen(["sleep", "300"], process_group=None)
signal.signal(
    signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start()
)
print(json.dumps({"event": "toy_ready", "level": "warning", "order_id": "o-1"}), flush=True)
server.serve_forever()
worker.kill()
print(json.dumps({"event": "toy_stopped", "level": "info"}), flush=True)
