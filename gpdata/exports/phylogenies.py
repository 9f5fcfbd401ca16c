"""A genealogy as a phylogeny in the ALife standard."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, get_args

from gpdata.analyses.frames import check_choice
from gpdata.exports.graph import to_networkx

if TYPE_CHECKING:
    import pandas as pd

Parents = Literal["all", "first"]

COLUMNS = (
    "id", "ancestor_list", "origin_time", "run_uuid", "generation", "location", "taxon_label", "parents_missing",
)  # fmt: skip
"""The columns of a phylogeny: those of the standard, and the way back to the individuals."""


def to_phylogeny(edges: Any, *, ancestors: Any = None, parents: Parents = "all") -> pd.DataFrame:
    """Make a phylogeny in the ALife standard of a genealogy.

    Parameters
    ----------
    edges : frame
        What `gpdata.ancestry_edges` returned, of any engine.
    ancestors : frame, optional
        What `gpdata.ancestry` returned: the phylogeny is of these individuals, and no others. By default it is of
        all that an edge names; an individual without parents and without children is in no edge.
    parents : {"all", "first"}
        All different recorded parents of each individual, or only the first that the sender named, which makes lines
        of single parents, such as `gpdata.phylogeny` and phylotrackpy measure.

    Returns
    -------
    pandas.DataFrame
        One row per individual, ordered by run, generation and location:

        - `id`: an integer from 0, each parent's less than its children's.
        - `ancestor_list`: ids of the parents as `[3]` or `[3,4]`; `[NONE]` for an individual that has none here.
        - `origin_time`: its generation.
        - `run_uuid`, `generation`, `location`: the map back to individuals. `taxon_label`: its uuid, null without.
        - `parents_missing`: parents that it names and that were not recorded; an individual with `[NONE]` and 0 here
          is a true root, with more its line was lost. Of `parents="first"` too, all of them count.

    Raises
    ------
    InvalidInput
        A frame is none, or `parents` is not valid.
    UnknownColumn
        A column is missing.

    Notes
    -----
    Format: https://alife-data-standards.github.io/alife-data-standards/phylogeny. Runs have nothing in common, so
    that the phylogeny of several has several roots at least.

    Examples
    --------
    >>> import gpdata, polars as pl
    >>> individuals = pl.DataFrame(
    ...     {
    ...         "run_uuid": ["a"] * 3,
    ...         "generation": [0, 0, 1],
    ...         "location": [0, 1, 0],
    ...         "uuid": ["p", "q", "r"],
    ...         "parent_uuids": [None, None, ["q", "p"]],
    ...         "genetic_operators": [["random"], ["random"], ["alternation"]],
    ...     }
    ... )
    >>> to_phylogeny(gpdata.ancestry_edges(individuals))[["id", "ancestor_list", "origin_time", "taxon_label"]]
       id ancestor_list  origin_time taxon_label
    0   0        [NONE]            0           p
    1   1        [NONE]            0           q
    2   2         [1,0]            1           r
    """
    import pandas as pd

    check_choice("parents", parents, get_args(Parents))
    graph = to_networkx(edges, ancestors=ancestors)
    number = {name: place for place, name in enumerate(graph)}
    named: dict[str, list[tuple[int, int]]] = {name: [] for name in graph}
    for parent, child, position in graph.edges(data="position", default=0):
        named[child].append((position, number[parent]))
    rows = []
    for name, facts in graph.nodes(data=True):
        # A first parent that was not recorded leaves no second in its place: the line is broken there.
        taken = [place for position, place in sorted(named[name]) if parents == "all" or position == 0]
        above = list(dict.fromkeys(taken))
        rows.append(
            {
                "id": number[name],
                "ancestor_list": f"[{','.join(map(str, above)) or 'NONE'}]",
                "origin_time": facts["generation"],
                "run_uuid": facts["run_uuid"],
                "generation": facts["generation"],
                "location": facts["location"],
                "taxon_label": facts.get("uuid"),
                "parents_missing": facts["parents_missing"],
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_phylogeny(taxa: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    r"""Write a phylogeny as CSV in the ALife standard.

    Parameters
    ----------
    taxa : pandas.DataFrame
        What `to_phylogeny` returned.
    path : str or Path
        The file to write.

    Returns
    -------
    None
        A line of names, then a line per taxon; `pandas.read_csv` gives the same back.

    Raises
    ------
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import pandas, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
    >>> write_phylogeny(pandas.DataFrame({"id": [0, 1], "ancestor_list": ["[NONE]", "[0]"]}), path)
    >>> path.read_text()
    'id,ancestor_list\n0,[NONE]\n1,[0]\n'
    """
    taxa.to_csv(path, index=False)
