"""``opendmux completion``: a script for a shell, and the hidden command that the script asks at each press of Tab.

The scripts know nothing: they hand over the line and take candidates, one a line behind a first line with their kind
(see `_completing`). So a script that was installed long ago offers what the program of today takes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from opendmux.wording import printable

if TYPE_CHECKING:
    import argparse

__all__ = ["SCRIPTS", "add_parser", "answer", "run"]

BASH: Final = """\
# bash completion of opendmux; install: eval "$(opendmux completion bash)" in ~/.bashrc
_opendmux() {
    local kind reply
    COMPREPLY=()
    {
        read -r kind
        while IFS= read -r reply; do COMPREPLY+=("$reply"); done
    } < <("${1/#\\~/$HOME}" __complete bash "$COMP_LINE" "$COMP_POINT" "$COMP_WORDBREAKS" 2>/dev/null)
    case $kind in
        files) compopt -o default ;;
        folders) compopt -o dirnames ;;
        list) compopt -o nospace ;;
    esac
}
complete -F _opendmux opendmux
"""

ZSH: Final = """\
#compdef opendmux
# zsh completion of opendmux; install: eval "$(opendmux completion zsh)" in ~/.zshrc, behind compinit
_opendmux() {
    local -a replies
    replies=("${(@f)$("${words[1]/#\\~/$HOME}" __complete zsh "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    local kind=${replies[1]}
    shift replies
    case $kind in
        files) _files ;;
        folders) _files -/ ;;
        list) _describe -t values value replies -S '' ;;
        *) (( $#replies )) && _describe -t values value replies ;;
    esac
}
if [[ ${funcstack[1]} == _opendmux ]]; then _opendmux "$@"; else compdef _opendmux opendmux; fi
"""

FISH: Final = """\
# fish completion of opendmux; install: opendmux completion fish > ~/.config/fish/completions/opendmux.fish
function __opendmux_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l replies ($words[1] __complete fish $words[2..-1] "$current" 2>/dev/null)
    switch "$replies[1]"
        case files
            __fish_complete_path "$current"
        case folders
            __fish_complete_directories "$current"
        case '*'
            printf '%s\\n' $replies[2..-1]
    end
end
complete -c opendmux -f -a '(__opendmux_complete)'
"""

SCRIPTS: Final = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    from argparse import RawDescriptionHelpFormatter

    parser = subparsers.add_parser(
        "completion",
        description="Print a script that lets a shell complete commands, actions, options and values.",
        epilog="\n".join(f"{name}: {script.split('install: ')[1].splitlines()[0]}" for name, script in SCRIPTS.items()),
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=list(SCRIPTS), metavar="SHELL", help="for which shell")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    print(SCRIPTS[args.shell], end="")
    return 0


def answer(asked: Sequence[str]) -> int:
    """Print what a script takes: ``bash LINE POINT WORDBREAKS``, or ``zsh|fish WORD... CURRENT``. Whatever is wrong
    with the question, there is no other answer than none."""
    from ._completing import complete

    shell, *words = asked or [""]
    cut = 0
    if shell == "bash":
        if len(words) != 3:
            return 2
        line, point, breaks = words
        words = _split(line[: int(point)] if point.isdecimal() else line)
        current = words[-1] if len(words) > 1 else ""
        # bash puts a candidate in place of what stands behind the last of these characters.
        cut = max((current.rfind(one) for one in breaks if one in ":="), default=-1) + 1
        words = words[1:]
    *before, current = words or [""]
    found = complete(before, current)
    lines: list[str] = [found.kind]
    for value, remark in found.values:
        text = printable(" ".join(remark.split()))  # some were chosen by peers
        if shell == "bash":
            lines.append(value[cut:])
        elif shell == "zsh":
            lines.append(value.replace("\\", "\\\\").replace(":", "\\:") + (f":{text}" if text else ""))
        else:
            lines.append(f"{value}\t{text}" if text else value)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _split(line: str) -> list[str]:
    """The words of a line that is not finished: a quote may be open, and a blank at its end begins an empty word."""
    import shlex

    for closing in ("", '"', "'"):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words, ""] if not closing and line[-1:].isspace() else words
    return line.split()
