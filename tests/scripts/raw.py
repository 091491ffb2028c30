"""What no script can say: requests byte by byte, connections that break, bodies that are too large.

Each case ends with the server serving an ordinary request, promptly.
"""

import gzip
import json
import socket
import ssl
import time
import zlib

from tests.harness import wire
from tests.harness.process import Dev, Folder, free_ports, resident_bytes
from tests.harness.suite import Failure, Suite, check, same

LIST = wire.PREFIX + "ListTables"
PROMPT = 5.0
IDLE = 35.0


def head(length=None, target=LIST, extra=""):
    """The head of a request; without a length the extra lines must say how the body ends."""
    lines = [f"{name}: {value}\r\n" for name, value in {**wire.HEADERS, "X-Amz-Target": target}.items()]
    if length is not None:
        lines.append(f"Content-Length: {length}\r\n")
    return ("POST / HTTP/1.1\r\nHost: localhost\r\n" + "".join(lines) + extra + "\r\n").encode()


class Connection:
    """A socket that speaks just enough HTTP to read one response after another."""

    def __init__(self, address, family=socket.AF_INET):
        host, _, port = address.rpartition(":")
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(20)
        self.socket.connect((host.strip("[]"), int(port)))
        self.buffer = b""

    def send(self, data):
        """Sends; a server that has heard enough may close before it has read everything."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _until(self, mark):
        while mark not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                raise Failure(f"no answer in {self.socket.gettimeout():.0f} s") from None
            if not more:
                raise AssertionError(f"the connection ended after {self.buffer[:200]!r}")
            self.buffer += more
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def response(self):
        """(status, headers, body) of the next response, interim ones included."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            more = self.socket.recv(65536)
            check(more, "the connection ended inside a body")
            self.buffer += more
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return int(lines[0].split()[1]), headers, body

    def status_or_end(self):
        """The status of the next response, or None when the server just closed."""
        try:
            return self.response()[0]
        except (AssertionError, ConnectionResetError):
            return None

    def close(self):
        """Closes with whatever is unread."""
        self.socket.close()


def suite_for(server):
    """The cases, against this running server."""
    suite = Suite("wire")
    idle = Connection(server.http)
    idle.send(head(2) + b"{}")
    idle_since = time.monotonic()

    def serves():
        began = time.monotonic()
        with server.wire(PROMPT) as client:
            same(client.call("ListTables", {}).status, 200, "an ordinary request afterwards")
        check(time.monotonic() - began < PROMPT, "the next request was not served promptly")

    def one(data):
        connection = Connection(server.http)
        try:
            began = time.monotonic()
            connection.send(data)
            answer = connection.response()
            check(time.monotonic() - began < PROMPT, "the answer was not prompt")
            return answer
        finally:
            connection.close()

    def error_name(answer):
        return json.loads(answer[2])["__type"].rpartition("#")[2]

    @suite.case
    def chunked():
        """a body in chunks"""
        data = head(extra="Transfer-Encoding: chunked\r\n") + b"1\r\n{\r\n" + b"1;ext=1\r\n}\r\n" + b"0\r\n\r\n"
        same(one(data)[0], 200, "status")

    @suite.case
    def expect_continue():
        """Expect: 100-continue is answered before the body comes"""
        connection = Connection(server.http)
        connection.send(head(2, extra="Expect: 100-continue\r\n"))
        same(connection.response()[0], 100, "interim status")
        connection.send(b"{}")
        same(connection.response()[0], 200, "status")
        connection.close()

    @suite.case
    def keep_alive():
        """twenty requests on one connection, some sent in one piece"""
        connection = Connection(server.http)
        for _ in range(10):
            connection.send((head(2) + b"{}") * 2)
            same(connection.response()[0], 200, "status")
            same(connection.response()[0], 200, "status")
        connection.close()

    @suite.case
    def byte_by_byte():
        """a request that arrives a byte at a time"""
        connection = Connection(server.http)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head(2) + b"{}":
            connection.send(bytes([byte]))
        same(connection.response()[0], 200, "status")
        connection.close()

    @suite.case
    def request_ids():
        """every answer has its own request id of 52 characters, and the CRC of its body"""
        seen = set()
        for _ in range(50):
            _, headers, body = one(head(2) + b"{}")
            request_id = headers["x-amzn-requestid"]
            check(len(request_id) == 52 and request_id.isalnum() and request_id.upper() == request_id, request_id)
            seen.add(request_id)
            same(headers["x-amz-crc32"], str(zlib.crc32(body)), "CRC-32")
            same(headers["content-type"], "application/x-amz-json-1.0", "content type")
        same(len(seen), 50, "distinct request ids")

    @suite.case
    def content_types():
        """application/json is tolerated"""
        data = head(2).replace(b"application/x-amz-json-1.0", b"application/json") + b"{}"
        same(one(data)[0], 200, "status")

    @suite.case
    def gzip_request():
        """a gzip body is read; a broken one is an error"""
        body = gzip.compress(b"{}")
        same(one(head(len(body), extra="Content-Encoding: gzip\r\n") + body)[0], 200, "status")
        same(one(head(9, extra="Content-Encoding: gzip\r\n") + b"not gzip!")[0], 400, "status of a broken body")
        body = gzip.compress(b"{}")[:-6]
        same(one(head(len(body), extra="Content-Encoding: gzip\r\n") + body)[0], 400, "status of half a body")
        serves()

    @suite.case
    def gzip_response():
        """a large answer may come as gzip to who asks for it; the CRC is of the bytes sent"""
        with server.wire() as client:
            wire.create_table(client, "raw-gzip")
            client.must("PutItem", {"TableName": "raw-gzip", "Item": {"pk": {"S": "a"}, "v": {"S": "x" * 100_000}}})
        body = b'{"TableName": "raw-gzip", "Key": {"pk": {"S": "a"}}, "ConsistentRead": true}'
        answer = one(head(len(body), wire.PREFIX + "GetItem", "Accept-Encoding: gzip\r\n") + body)
        same(answer[0], 200, "status")
        same(answer[1]["x-amz-crc32"], str(zlib.crc32(answer[2])), "CRC-32")
        packed = answer[1].get("content-encoding") == "gzip"
        text = gzip.decompress(answer[2]) if packed else answer[2]
        same(len(json.loads(text)["Item"]["v"]["S"]), 100_000, "length of the value")
        check(packed, "100 kB came without gzip although it was asked for")
        plain = one(head(len(body), wire.PREFIX + "GetItem") + body)
        check("content-encoding" not in plain[1], "gzip came although nobody asked")

    @suite.case
    def gzip_bomb():
        """a small body that unpacks to 256 MB is refused, and memory stays"""
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        block = b" " * (1 << 20)
        body = b"".join(packer.compress(block) for _ in range(256)) + packer.flush()
        before = resident_bytes(server.pid)
        answer = one(head(len(body), extra="Content-Encoding: gzip\r\n") + body)
        check(answer[0] in (400, 413), f"status {answer[0]}")
        grown = resident_bytes(server.pid) - before
        check(grown < 100 << 20, f"memory grew by {grown >> 20} MB")
        serves()

    @suite.case
    def too_large():
        """a body above 16 MB is refused, announced or not, and memory stays"""
        before = resident_bytes(server.pid)
        connection = Connection(server.http)
        connection.send(head((16 << 20) + 1))
        connection.send(b" " * (1 << 20))
        status = connection.status_or_end()
        check(status in (400, 413, None), f"status {status} for an announced body")
        connection.close()
        connection = Connection(server.http)
        connection.send(head(extra="Transfer-Encoding: chunked\r\n"))
        piece = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        for _ in range(64):
            connection.send(piece)
        status = connection.status_or_end()
        check(status in (400, 413, None), f"status {status} for a body in chunks")
        connection.close()
        grown = resident_bytes(server.pid) - before
        check(grown < 200 << 20, f"memory grew by {grown >> 20} MB")
        serves()

    @suite.case
    def large_enough():
        """a batch of ten megabytes is served"""
        with server.wire(30) as client:
            wire.create_table(client, "raw-large")
            items = [{"PutRequest": {"Item": {"pk": {"S": str(i)}, "v": {"S": "x" * 400_000}}}} for i in range(25)]
            answer = client.must("BatchWriteItem", {"RequestItems": {"raw-large": items}})
            while answer["UnprocessedItems"]:
                answer = client.must("BatchWriteItem", {"RequestItems": answer["UnprocessedItems"]})
            count, start = 0, {}
            while True:
                page = client.must(
                    "Scan", {"TableName": "raw-large", "Select": "COUNT", "ConsistentRead": True, **start}
                )
                count += page["Count"]
                if "LastEvaluatedKey" not in page:
                    break
                start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
            same(count, 25, "items")

    @suite.case
    def not_utf8():
        """a body that is not UTF-8"""
        for text in (b'{"a": "\xff"}', b"\xff\xfe{\x00}\x00", b'{"\xc3": 1}'):
            answer = one(head(len(text)) + text)
            same((answer[0], error_name(answer)), (400, "SerializationException"), repr(text))
        serves()

    @suite.case
    def not_http():
        """bytes that are no HTTP"""
        for text in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"hello\r\n\r\n", b"GET\r\n\r\n", b"\0" * 4096):
            connection = Connection(server.http)
            connection.send(text)
            connection.socket.shutdown(socket.SHUT_WR)
            status = connection.status_or_end()
            check(status is None or 400 <= status < 500, f"status {status}")
            connection.close()
        serves()

    @suite.case
    def tls_hello():
        """a client that speaks TLS gets an end, not a hang"""
        context = ssl.create_default_context()
        host, _, port = server.http.rpartition(":")
        began = time.monotonic()
        try:
            with socket.create_connection((host.strip("[]"), int(port)), 10) as plain:
                context.wrap_socket(plain, server_hostname="localhost")
            raise AssertionError("TLS was spoken")
        except OSError:
            check(time.monotonic() - began < PROMPT, "the end was not prompt")
        serves()

    @suite.case
    def huge_head():
        """a head of a megabyte is refused"""
        connection = Connection(server.http)
        connection.send(head(2, extra="X-Filler: " + "x" * (1 << 20) + "\r\n") + b"{}")
        status = connection.status_or_end()
        check(status is None or 400 <= status < 500, f"status {status}")
        connection.close()
        serves()

    @suite.case
    def wrong_length():
        """lengths that are no numbers, or two"""
        for extra in ("Content-Length: x\r\n", "Content-Length: -1\r\n", "Content-Length: 2\r\nContent-Length: 3\r\n"):
            connection = Connection(server.http)
            connection.send(head(extra=extra) + b"{}")
            status = connection.status_or_end()
            check(status is None or 400 <= status < 500, f"status {status} for {extra!r}")
            connection.close()
        serves()

    @suite.case
    def half_sent():
        """three hundred half-sent requests, held and then dropped, hold up nobody"""
        held = []
        for number in range(300):
            connection = Connection(server.http)
            connection.send((head(1000) + b'{"Limit": ')[: 40 + number])
            held.append(connection)
        serves()
        for connection in held:
            connection.close()
        serves()

    @suite.case
    def dropped():
        """clients that leave before the answer"""
        body = b'{"TableName": "raw-drop", "Item": {"pk": {"S": "a"}}}'
        for _ in range(100):
            connection = Connection(server.http)
            connection.send(head(len(body), wire.PREFIX + "PutItem") + body)
            # A reset instead of an orderly end: the rudest way to leave.
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        serves()

    @suite.case
    def other_methods():
        """GET / answers 200; other methods and paths are refused"""
        status, text = wire.get(server.http, "/")
        same(status, 200, "GET /")
        check(text.startswith("healthy"), f"GET / says {text!r}")
        for request in (
            b"PUT / HTTP/1.1",
            b"DELETE / HTTP/1.1",
            b"POST /elsewhere HTTP/1.1",
            b"GET /elsewhere HTTP/1.1",
        ):
            status = one(request + b"\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")[0]
            check(400 <= status < 500, f"{request!r} answered {status}")
        serves()

    @suite.case
    def both_families():
        """localhost means 127.0.0.1 and ::1"""
        try:
            probe = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            probe.bind(("::1", 0))
            probe.close()
        except OSError:
            return "(this machine has no ::1)"
        (port,) = free_ports(1)
        with Folder() as folder, Dev(folder, http=f"localhost:{port}"):
            for address, family in ((f"127.0.0.1:{port}", socket.AF_INET), (f"[::1]:{port}", socket.AF_INET6)):
                connection = Connection(address, family)
                connection.send(head(2) + b"{}")
                same(connection.response()[0], 200, address)
                connection.close()
        return None

    @suite.case
    def many_connections():
        """six hundred idle connections, and all of them still served"""
        connections = [Connection(server.http) for _ in range(600)]
        for connection in connections:
            connection.send(head(2) + b"{}")
        for connection in connections:
            same(connection.response()[0], 200, "status")
            connection.close()

    @suite.case
    def long_idle():
        """a connection that was idle for half a minute still serves"""
        same(idle.response()[0], 200, "status before")
        time.sleep(max(0.0, IDLE - (time.monotonic() - idle_since)))
        idle.send(head(2) + b"{}")
        same(idle.response()[0], 200, "status after")
        idle.close()

    @suite.case
    def health():
        """/healthz, /readyz and /metrics on the admin port"""
        same(wire.get(server.admin, "/healthz")[0], 200, "/healthz")
        same(wire.get(server.admin, "/readyz")[0], 200, "/readyz")
        check(any(name.startswith("trilith_") for name in wire.metrics(server.admin)), "no trilith_ metric")

    return suite
