"""Stands in for a session process: the same order and port line, but no scene; answers what a test asks for."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading

from aiohttp import WSMsgType, web

from PETCTFusionSegLib.web.order import SessionOrder
from PETCTFusionSegLib.web.transfers import FileTransfers, requireSecret


async def serve(order: SessionOrder) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(stop.set)), daemon=True).start()

    async def index(request):
        return web.Response(text="<p id='here'>the session's page</p>", content_type="text/html")

    async def about(request):
        folder = order.start.folder
        return web.json_response(
            {
                "pid": os.getpid(),
                "folder": str(folder),
                "mode": oct(folder.stat().st_mode & 0o777),
                "temporary": os.environ["TMPDIR"],
                "headers": dict(request.headers),
                "arguments": sys.argv,
            }
        )

    async def echo(request):
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    async def arrived(arrival):
        kept = sorted(str(path.relative_to(order.start.folder)) for path in order.start.folder.rglob("*"))
        dicom = sorted(path.read_bytes().decode() for path in arrival.dicom.iterdir()) if arrival.dicom else []
        return json.dumps({"volumes": [path.name for path in arrival.volumes], "dicom": dicom, "kept": kept})

    # As a worker does: it outlives a killed session and holds its standard error open.
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    application = web.Application(middlewares=[requireSecret(order.secret)])
    transfers = FileTransfers(order.start.folder, order.uploadBytes)
    transfers.arrived = arrived
    transfers.addRoutes(application)
    report = order.start.folder / "report.csv"
    report.write_text("a,b\n")
    transfers.offer(report)
    (order.start.folder / "secret.csv").write_text("nobody's business")
    application.add_routes([web.get("/index.html", index), web.get("/about", about), web.get("/ws", echo)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print("something that a library prints")
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await stop.wait()
    await runner.cleanup()
    shutil.rmtree(order.start.folder, ignore_errors=True)


if __name__ == "__main__":
    if os.environ.get("STUB_FAILS"):
        print(json.dumps({"error": "The scene could not be made."}), flush=True)
        sys.exit(1)
    asyncio.run(serve(SessionOrder.fromJson(sys.stdin.readline())))
