"""The runner's own part: which notebooks, which parameters, and how a failure is shown."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from humfind.notebooks import runner
from humfind.types import InputError


def notebook(path: Path, *cells: str, parameters: str = 'data: str = "x"\nsteps: int = 3\nrate: float = 0.5') -> Path:
    made = new_notebook(cells=[new_code_cell(parameters), *(new_code_cell(cell) for cell in cells)])
    made.cells[0].metadata["tags"] = ["parameters"]
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, path)
    return path


def test_a_parameter_that_no_notebook_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"setps: no notebook .* they have data, rate, steps"):
        runner.choose_parameters([notebook(tmp_path / "a.ipynb")], {"setps": "5"})


def test_each_notebook_gets_the_parameters_that_it_has(tmp_path: Path) -> None:
    one = notebook(tmp_path / "a.ipynb")
    two = notebook(tmp_path / "b.ipynb", parameters='data: str = "x"')
    given = {"data": "7", "steps": "5", "rate": "2"}
    assert runner.choose_parameters([one, two], given) == [{"data": "7", "steps": 5, "rate": 2.0}, {"data": "7"}]


@pytest.mark.parametrize(("text", "default"), [("many", "3"), ("1.5", "3"), ("True", "3"), ("x", "0.5")])
def test_a_value_of_another_type_is_refused(text: str, default: str) -> None:
    with pytest.raises(InputError, match=f"steps={text}"):
        runner.typed(text, default, "steps")


def test_notebooks_are_named_by_their_first_letters() -> None:
    assert runner.choose_notebooks(["05", "03_tr"]) == ["03_train", "05_rank"]
    with pytest.raises(InputError, match="07: no such notebook"):
        runner.choose_notebooks(["07"])


def test_an_executed_copy_and_html_are_kept_and_the_source_stays(tmp_path: Path) -> None:
    source, out = notebook(tmp_path / "a.ipynb", "print(steps * 2)"), tmp_path / "run" / "a.ipynb"
    (tmp_path / "run" / "html").mkdir(parents=True)
    before = source.read_bytes()
    runner.execute(source, out, {"steps": 21})
    assert source.read_bytes() == before
    assert "42" in json.dumps(nbformat.read(out, 4).cells[-1].outputs)
    assert "42" in (tmp_path / "run" / "html" / "a.html").read_text()


def test_a_failing_cell_is_shown_with_its_error(tmp_path: Path) -> None:
    source, out = notebook(tmp_path / "a.ipynb", "x = 1", "y = x / 0"), tmp_path / "run" / "a.ipynb"
    (tmp_path / "run" / "html").mkdir(parents=True)
    with pytest.raises(runner.NotebookError) as caught:
        runner.execute(source, out, {})
    screen = str(caught.value)
    assert screen.startswith("a.ipynb, cell [3] failed: ZeroDivisionError")
    assert "    y = x / 0" in screen
    assert len(screen.splitlines()) < 40
    assert out.exists()


def test_what_the_user_can_mend_stays_an_input_error(tmp_path: Path) -> None:
    cell = "from humfind.types import InputError\nraise InputError('hum.mp3: empty; delete it')"
    source, out = notebook(tmp_path / "a.ipynb", cell), tmp_path / "run" / "a.ipynb"
    (tmp_path / "run" / "html").mkdir(parents=True)
    with pytest.raises(InputError, match=r"a\.ipynb: hum\.mp3: empty; delete it"):
        runner.execute(source, out, {})
