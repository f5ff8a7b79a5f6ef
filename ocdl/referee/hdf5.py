"""What an HDF5 file may not hold if reading it is to be safe: looked at link by link, before a reader follows any.

A file of ours is a tree of groups with plain arrays in it. Links out of the file or back up the tree, storage in other
files, and arrays larger than the file are not; a reader that meets them opens what it should not, or never ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLAIN = "fiu"  # kinds of numbers


def objection(path: Path) -> str:
    """Why the file should not be read, or nothing. Raises OSError and the like for a broken file."""
    import h5py

    with h5py.File(path, "r") as file:
        return next(_objections(file, path.stat().st_size), "")


def _objections(file: Any, most: int) -> Iterator[str]:
    import h5py

    seen, groups, declared = {_address(file)}, [file], 0
    while groups:
        group = groups.pop()
        for name in group:
            where = f"{group.name.rstrip('/')}/{name}"
            if type(group.get(name, getlink=True)) is not h5py.HardLink:
                yield f"{where} is a link to elsewhere"
                continue
            member = group[name]
            if _address(member) in seen:
                yield f"{where} is a second link to something in it"
                continue
            seen.add(_address(member))
            if isinstance(member, h5py.Group):
                groups.append(member)
            elif not isinstance(member, h5py.Dataset):
                yield f"{where} is a type of its own"
            else:
                declared += int(member.nbytes or 0)
                yield from _array_objections(member, where, h5py.check_string_dtype(member.dtype) is not None)
                if declared > most:
                    yield f"{where} would make its arrays larger than the file itself, {declared} bytes of {most}"


def _array_objections(array: Any, where: str, text: bool) -> Iterator[str]:
    if array.external or array.is_virtual:
        yield f"{where} is stored in another file"
    if not text and array.dtype.kind not in PLAIN:
        yield f"{where} holds {array.dtype}, neither real numbers nor text"
    for name in array.attrs:
        attribute = array.attrs.get_id(name)
        if not _expected(name, attribute.dtype, attribute.shape, array.ndim):
            yield f"{where} has an attribute {name} of {attribute.dtype} {attribute.shape}, which is not netCDF's"


def _expected(name: str, dtype: Any, shape: tuple[int, ...], dimensions: int) -> bool:
    """Whether an attribute is what the netCDF library takes it for without a look; its own tell the dimensions."""
    import h5py

    text = dtype.kind == "S" or h5py.check_string_dtype(dtype) is not None
    own = {
        "CLASS": text and shape == (),
        "NAME": text and shape == (),
        "DIMENSION_LIST": h5py.check_vlen_dtype(dtype) is not None and shape == (dimensions,),
        "REFERENCE_LIST": dtype.kind == "V" and len(shape) == 1,
        "_Netcdf4Dimid": dtype.kind in "iu" and shape == (),
        "_Netcdf4Coordinates": dtype.kind in "iu" and shape == (dimensions,),
    }
    return own.get(name, (text or dtype.kind in PLAIN) and len(shape) <= 1)


def _address(member: Any) -> Any:
    import h5py

    return h5py.h5o.get_info(member.id).addr
