"""The shop as a program of its own, and what whence sees of it; over real connections."""

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from launching import Launcher
from whence.exporters.tree import Row, rows_of_request

ROOT = Path(__file__).parent.parent.parent
SHOP = ROOT / "examples" / "shop"
VOUCHER, ASSAM = 1, 2


def shop(*options: str) -> list[str]:
    return [str(SHOP), "--port", "0", *options]


class Visitor:
    """A client with one connection that is kept alive, who remembers what it asked for."""

    def __init__(self, address: str) -> None:
        self.requests: list[str] = []
        self._connection = HTTPConnection(address.removeprefix("http://"), timeout=30)
        self._connection.connect()
        self._socket = self._connection.sock

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, str]:
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        assert self._connection.sock is self._socket, "the connection was not kept alive"
        self.requests.append(f"{method} {re.sub('[0-9]+', '{}', path.partition('?')[0])}")
        return answer.status, text

    def get(self, path: str) -> str:
        status, text = self.ask("GET", path)
        assert status == 200, text
        return text

    def buy(self, item: int) -> tuple[int, str]:
        return self.ask("POST", "/checkout", json.dumps({"item": item}))

    def close(self) -> None:
        self._connection.close()


class Opened:
    """A shop that is open."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        assert process.stdout is not None
        greeting, _, self.address = process.stdout.readline().strip().rpartition(" ")
        assert greeting == "shop: open at"

    def close(self) -> tuple[int, str, str]:
        """Its exit code and what it has said since."""
        self._process.send_signal(signal.SIGTERM)
        out, err = self._process.communicate(timeout=30)
        return self._process.returncode, out, err


class TestAlone:
    """Without whence."""

    @pytest.mark.parametrize("way", [[str(SHOP)], ["-m", "examples.shop"]])
    def test_it_runs_as_a_folder_and_as_a_module(self, launch: Launcher, way: list[str]) -> None:
        options = ("--port", "0", "--seconds", "0.1")
        ended = launch(launch.python, "-W", "error", *way, *options, cwd=ROOT)
        assert re.fullmatch(r"shop: open at http://127\.0\.0\.1:\d+\nshop: closed\n", ended.out)
        assert (ended.code, ended.err) == (0, "")

    def test_customers_come_from_another_process_and_are_served(self, launch: Launcher) -> None:
        ended = launch(launch.python, *shop("--seconds", "1", "--load", "2"))
        served = re.search(r"^customers: (\d+) requests, \d+ failed; .*", ended.out, re.MULTILINE)
        assert served is not None, ended
        assert int(served[1]) > 5
        assert (ended.code, ended.err) == (0, "")

    def test_it_sells_and_closes_on_a_signal_leaving_nothing(
        self, launch: Launcher, tmp_path: Path
    ) -> None:
        folder = tmp_path / "temporary"
        folder.mkdir()
        opened = Opened(launch.start(launch.python, *shop(), env={"TMPDIR": str(folder)}))
        visitor = Visitor(opened.address)
        found = json.loads(visitor.get("/search?q=assam"))
        assert [item["id"] for item in found["items"]] == [ASSAM]
        assert set(found["stock"]) == {"Leith", "Hamburg", "Kandy"}
        assert visitor.buy(ASSAM) == (200, '{"order": 1}')
        assert visitor.get("/invoices/1").startswith("ORDER 1: ")
        assert re.search(r"^Assam, broken leaf +1$", visitor.get("/report"), re.MULTILINE)
        visitor.close()
        assert list(folder.iterdir()) != []
        assert opened.close() == (0, "shop: closed\n", "")
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize(
        ("request_line", "status"),
        [
            (("GET", "/items/99", None), 404),
            (("GET", "/items/99999999999999999999", None), 404),
            (("GET", "/invoices/1", None), 404),
            (("POST", "/checkout", "not JSON"), 400),
            (("POST", "/checkout", '{"item": "2"}'), 400),
            (("POST", "/checkout", '{"item": 99}'), 404),
        ],
    )
    def test_a_wrong_request_is_answered(
        self, opened: Opened, request_line: tuple[str, str, str | None], status: int
    ) -> None:
        visitor = Visitor(opened.address)
        assert visitor.ask(*request_line)[0] == status
        visitor.close()
        assert opened.close() == (0, "shop: closed\n", "")

    def test_a_port_that_is_taken_is_one_line(self, launch: Launcher, opened: Opened) -> None:
        port = opened.address.rpartition(":")[2]
        ended = launch(launch.python, str(SHOP), "--port", port)
        assert (ended.code, ended.out) == (1, "")
        assert re.fullmatch(rf"shop: expected a free port, not {port} \(.+\)\n", ended.err)

    def test_without_aiohttp_it_says_so_in_one_line(self, launch: Launcher) -> None:
        ended = launch(launch.python, "-S", *shop())
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == (
            "shop: expected aiohttp, which it is built on; to get it: pip install aiohttp\n"
        )

    @pytest.mark.parametrize("options", [["--port", "70000"], ["--seconds", "0"], ["--load", "-1"]])
    def test_a_wrong_option_is_named(self, launch: Launcher, options: list[str]) -> None:
        ended = launch(launch.python, str(SHOP), *options)
        assert ended.code == 2
        assert ended.err.splitlines()[-1].startswith(f"shop: error: {options[0]}: expected ")

    @pytest.fixture
    def opened(self, launch: Launcher) -> Opened:
        return Opened(launch.start(launch.python, *shop()))


class Traced:
    """What whence wrote down of a visit, and what it said at the end."""

    def __init__(self, requests: list[str], rows: list[Row], report: str) -> None:
        self.requests = requests
        self.rows = rows
        self.report = report
        self._by_id = {row.span_id: row for row in rows}

    def of_type(self, type: str) -> list[Row]:
        return [row for row in self.rows if row.attributes["whence.type"] == type]

    def named(self, name: str) -> list[Row]:
        found = [row for row in self.rows if row.name == name]
        assert found, f"no {name!r} among {sorted({row.name for row in self.rows})}"
        return found

    def ancestors(self, row: Row) -> Iterator[Row]:
        while row.parent_id:
            row = self._by_id[row.parent_id]
            yield row

    def roots(self, name: str) -> set[str]:
        """What the traces are called in which there is such a span."""
        return {[row, *self.ancestors(row)][-1].name for row in self.named(name)}

    def under(self, root: Row) -> Counter[str]:
        """Names of the spans below a root."""
        return Counter(row.name for row in self.rows if root in self.ancestors(row))


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """Two visitors, and seven payments: two are for vouchers, and the last one fails."""
    launch = Launcher(tmp_path_factory.mktemp("traced"))
    try:
        options = ("--export", "file", "-o", "spans.jsonl", "--min-duration", "0", "--no-child")
        opened = Opened(launch.start(*launch.whence, "run", *options, *shop()))
        first, second = Visitor(opened.address), Visitor(opened.address)
        price = json.loads(first.get(f"/items/{ASSAM}"))["price"]
        first.get("/search?q=e")
        second.get("/search?q=assam")
        second.get("/report")
        for visitor, item in zip(
            [first, second] * 3, [VOUCHER, *[ASSAM] * 4, VOUCHER], strict=True
        ):
            assert visitor.buy(item)[0] == 200
        assert second.buy(ASSAM)[0] == 502
        first.get("/invoices/2")
        while json.loads(second.get(f"/items/{ASSAM}"))["price"] == price:
            pass  # The timer has not rung yet.
        first.close()
        second.close()
        code, out, err = opened.close()
        assert (code, out) == (0, "shop: closed\n"), err
        lines = (launch.folder / "spans.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [row for line in lines for row in rows_of_request(line)]
        yield Traced(first.requests + second.requests, rows, err)
    finally:
        launch.close()


class TestTraced:
    """Under `whence run`."""

    def test_each_request_is_one_trace_named_by_its_route(self, traced: Traced) -> None:
        requests = traced.of_type("Request")
        assert Counter(re.sub(r"\{\w+\}", "{}", row.name) for row in requests) == Counter(
            traced.requests
        )
        assert {row.parent_id for row in requests} == {""}
        assert len({row.trace_id for row in requests}) == len(traced.requests)

    def test_no_span_is_without_the_parent_that_it_names(self, traced: Traced) -> None:
        known = {(row.trace_id, row.span_id) for row in traced.rows}
        assert [
            r for r in traced.rows if r.parent_id and (r.trace_id, r.parent_id) not in known
        ] == []

    def test_the_query_and_the_fan_out_are_under_their_search(self, traced: Traced) -> None:
        for search in traced.named("GET /search"):
            below = traced.under(search)
            assert below["executor Catalogue.search"] == 1
            assert below["task ask_warehouse"] == 3
            assert below["timer sleep"] == 3

    def test_the_program_is_under_its_invoice(self, traced: Traced) -> None:
        (invoice,) = traced.named("GET /invoices/{order}")
        program = f"process {Path(sys.executable).name}"
        assert traced.under(invoice)[program] == 1

    def test_the_worker_and_the_timer_are_under_no_request(self, traced: Traced) -> None:
        for name in (
            "task Dispatch.pack_orders",
            "task Market._change_prices",
            "thread Ledger._keep",
        ):
            assert {
                root for root in traced.roots(name) if root.startswith(("GET", "POST"))
            } == set()
        # The timer roots its own trace from its second ring on: a period, not a descent.
        assert traced.roots("executor Catalogue.reprice") <= {"task run", "timer Market._ring"}

    def test_what_fails_is_where_it_failed(self, traced: Traced) -> None:
        (charge,) = [row for row in traced.named("task Bank.charge") if row.error]
        assert charge.error.startswith("shop.bank.BankUnreachable: no answer to a payment of ")
        (checkout,) = [row for row in traced.named("POST /checkout") if row.error]
        assert checkout in traced.ancestors(charge)
        assert checkout.attributes["http.response.status_code"] == 502
        errors = [row.name for row in traced.rows if row.error]
        assert sorted(errors) == ["POST /checkout", "task Bank.charge"]

    def test_spans_say_which_line_of_the_shop_made_them(self, traced: Traced) -> None:
        def made_at(row: Row) -> str:
            path = Path(row.attributes["code.file.path"])
            assert path.is_relative_to(SHOP)
            lines = path.read_text(encoding="utf-8").splitlines()
            return lines[int(row.attributes["code.line.number"]) - 1].strip()

        ask = made_at(traced.named("task ask_warehouse")[0])
        assert "group.create_task(ask_warehouse(name, items))" in ask
        assert made_at(traced.named("process " + Path(sys.executable).name)[0]).startswith(
            "printer = await asyncio.create_subprocess_exec("
        )
        assert made_at(traced.named("GET /report")[0]).startswith("async def report(")

    def test_the_report_says_what_blocks_what_leaks_and_what_stays_open(
        self, traced: Traced
    ) -> None:
        start, summary, *rest = traced.report.splitlines()
        assert start.startswith("whence ")
        found = re.search(r"worst block (\d+) ms \S*pages\.py:\d+ \(GET /report\)", summary)
        assert found is not None, summary
        assert int(found[1]) >= 150
        assert "1 still open" in summary
        assert "2 futures never settled" in summary
        (line,) = [line for line in rest if line.split()[0] == "open"]
        assert re.search(r" thread Ledger\._keep \S*ledger\.py:\d+ <- task run ", line)


def test_attached_children_leave_the_shop_as_it_is(launch: Launcher) -> None:
    ended = launch.run("-q", "--export", "none", *shop("--seconds", "1", "--load", "1"))
    assert (ended.code, ended.err) == (0, "")
    assert re.fullmatch(r"shop: open at .*\ncustomers: .*\nshop: closed\n", ended.out)
