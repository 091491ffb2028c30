"""`trilith sql` as a person or a script uses it: statements by argument and by pipe, tables, JSON, one-line errors."""

import json
import subprocess

from tests.harness import wire
from tests.harness.process import binary
from tests.harness.suite import Suite, check, same


def suite_for(server):
    """The cases, against a running server."""
    suite = Suite("shell")

    def sql(*arguments, piped="", endpoint=server.grpc):
        done = subprocess.run(
            [binary(), "sql", "--endpoint", endpoint, *arguments],
            input=piped,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def works(*arguments, piped=""):
        code, out, err = sql(*arguments, piped=piped)
        same((code, err), (0, ""), "exit code and errors")
        return out

    @suite.case
    def statements():
        """statements by -e, shown as a table"""
        with server.wire() as client:
            wire.create_table(client, "shell1")
            wire.create_table(client, "shell2", "S")
        works("-e", "INSERT INTO shell1 VALUE {'pk': 'a', 'n': 1, 'l': [1, 'x;y']}")
        out = works("-e", "SELECT * FROM shell1 WHERE pk = 'a'")
        check("| [1, 'x;y'] | 1 | a  |" in out and "1 row" in out, out)

    @suite.case
    def piped():
        """a script by pipe, its statements separated by semicolons, over several pages"""
        insert = "".join(f"INSERT INTO shell2 VALUE {{'pk': 'p', 'sk': '{i:04}'}};\n" for i in range(230))
        works(piped=insert)
        out = works("--json", piped="-- all; of them\nSELECT sk FROM shell2 WHERE pk = 'p' ORDER BY sk DESC;")
        rows = [json.loads(line)["sk"] for line in out.splitlines()]
        same(rows, [f"{i:04}" for i in reversed(range(230))], "rows")

    @suite.case
    def commands():
        """tables are listed and described"""
        out = works(piped="\\d\n\\d shell2\n")
        check("shell1" in out.splitlines() and "pk (S), sk (S)" in out, out)

    @suite.case
    def errors():
        """an error is one line, and ends a script"""
        code, out, err = sql(piped="DELETE FROM shell1 WHERE pk = 'z'; SLECT 1; DELETE FROM shell1 WHERE pk = 'a';")
        same((code, err.count("\n"), out), (1, 1, "done\n"), "exit code, lines, output")
        check("ValidationException: Statement wasn't well formed" in err, err)
        check('"pk"' in works("--json", "-e", "SELECT * FROM shell1 WHERE pk = 'a'"), "the script went on")
        code, _, err = sql("-e", "SELECT 1", endpoint="127.0.0.1:1")
        same((code, err.count("\n")), (1, 1), "exit code and lines without a server")

    return suite
