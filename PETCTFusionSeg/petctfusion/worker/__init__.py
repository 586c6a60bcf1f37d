"""The background worker: protocol, exchange folder, server, and the client's two halves.

`session.WorkerSession` is bytes in, events out, for any transport (QProcess, asyncio); `client.WorkerClient` is the
blocking one on `subprocess`; `server` runs in the worker's own process and is the only part that imports torch.
"""
