"""An S3-protocol server on a free port of this machine, until standard input ends. Says its port."""

import sys
import urllib.request

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
_, port = server.get_host_and_port()
made = urllib.request.Request(f"http://127.0.0.1:{port}/lake", method="PUT")
urllib.request.urlopen(made).close()
print(port, flush=True)
sys.stdin.read()
server.stop()
