"""What is said of several files, in as few sentences as say it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def shared_sentences(said: Sequence[tuple[str, Iterable[str]]]) -> list[str]:
    """What is said of several files, each sentence once. said: (file, its sentences)."""
    of_files: dict[str, list[str]] = {}
    for file, sentences in said:
        for sentence in dict.fromkeys(sentences):
            of_files.setdefault(sentence, []).append(file)
    told = []
    for sentence, files in of_files.items():
        if len(files) == len(said):
            told.append(sentence)
        else:
            more = f" The same holds for {len(files) - 1:,} more of {len(said):,} files." if len(files) > 1 else ""
            told.append(f"'{files[0]}': {sentence}{more}")
    return told
