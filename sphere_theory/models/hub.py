"""One file at a time out of a repository on the model hub, or out of the hub's cache on this disk."""

from __future__ import annotations

from pathlib import Path

from sphere_theory.errors import ModelError, first_line


class HubRepository:
    """The files of one hub repository, each fetched when it is asked for and not before.

    Parameters
    ----------
    repo_id
        The repository, as in "sentence-transformers/all-MiniLM-L6-v2".

    Attributes
    ----------
    trouble : str
        Why the hub could not be asked about a file, when that happened; empty otherwise.
    """

    def __init__(self, repo_id: str) -> None:
        self.repo_id = repo_id
        self.trouble = ""

    def __str__(self) -> str:
        return f"hub repository {self.repo_id!r}"

    def file(self, name: str) -> Path | None:
        """Return the path of one file, downloaded unless the cache holds it.

        Parameters
        ----------
        name
            The file's name in the repository.

        Returns
        -------
        Path or None
            The file; None when the repository has no such file, and when the hub is out of reach and
            the cache does not hold it (`trouble` then says so: another file may still be cached).

        Raises
        ------
        ModelError
            No such repository, no access to it, a broken transfer, or huggingface_hub not installed.
        """
        try:
            import huggingface_hub
            from huggingface_hub.utils import EntryNotFoundError, LocalEntryNotFoundError
        except ImportError as error:
            expected = "huggingface_hub installed for a hub id: pip install 'sphere-theory[models]'"
            raise ModelError("model", expected, f"{self.repo_id!r} without it") from error
        try:
            return Path(huggingface_hub.hf_hub_download(self.repo_id, name))
        except LocalEntryNotFoundError as error:
            self.trouble = first_line(error)
            return None
        except EntryNotFoundError:
            return None
        except Exception as error:
            # Beside its own errors the client raises those of its HTTP library, another one in each version.
            got = f"{self.repo_id!r} ({name}): {first_line(error)}"
            expected = "a hub repository that exists and can be read"
            raise ModelError("model", expected, got) from error
