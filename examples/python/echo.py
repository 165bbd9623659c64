"""An echo server, for streams and datagrams, on asyncio:

    aeon run --policy net.yaml --dir sdk/python:/sdk:ro --env PYTHONPATH=/sdk --dir .:/app:ro \\
        python.wasm /app/echo.py 7777

where net.yaml lets it bind that port:

    ingress:
      - allow: any
        on: 127.0.0.1
        ports: 7777"""
import asyncio
import sys


async def serve(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(data, address)


async def main(port):
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", port))
    print("port", port, flush=True)
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
