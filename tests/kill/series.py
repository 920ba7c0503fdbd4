"""A series of kills: one study after the other in one folder, each called again and again until it is complete."""

import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from checkout import Checkout

from kill import attack, study, victims
from kill.attack import Blow, Outcome
from kill.site.hook import Plan
from kill.study import State
from kill.tally import Tally
from kill.victims import Victim

_BACKBONES = 2
_COLD, _WARM = "`laghu study` itself", "its steps in a fork"
_STARTS: dict[str, Callable[[Checkout, Plan | None, Path], Victim]] = {_COLD: victims.cold, _WARM: victims.warm}


class Series:
    """Kills, and what is found after each.

    Args:
        scratch: an empty folder.
        seed: of the random points.
    """

    def __init__(self, scratch: Path, seed: int) -> None:
        self.tally = Tally()
        self._name = scratch.name
        self._random = Random(seed)
        self._channel, self._log = scratch / "events", scratch / "log"
        for name in ("warm-up", "undisturbed", "study"):
            (scratch / name).mkdir()
        victims.warm_up(scratch / "warm-up")
        self._undisturbed = study.checkout(scratch / "undisturbed")
        self._home = study.checkout(scratch / "study")
        self._seconds: dict[str, float] = {}
        self._events: dict[str, dict[tuple[str, str], int]] = {}
        self._measure(_WARM, self._undisturbed)
        reference = study.look(self._undisturbed.folder)
        if reference.wrong or not study.is_complete(reference):
            raise RuntimeError(f"the undisturbed study is not complete: {reference.wrong}\n{self._said()}")
        self._references = {study.backbone(reference): reference}
        self._before = State()
        self._pending = 0  # kills of the study at hand

    def run(self, kills: int, cold: int) -> Tally:
        """Kill that many calls, `cold` of them of `laghu study` itself, and bring the last study to its end."""
        if cold:
            self._measure(_COLD, self._home)
            self._look()
        taken = [f"{seconds:.0f} s for {kind}" for kind, seconds in self._seconds.items()]
        print(f"{self._name}, undisturbed: {', '.join(taken)}", flush=True)
        kinds = [_COLD] * cold + [_WARM] * (kills - cold)
        self._random.shuffle(kinds)
        while kinds:
            self._begin_anew_if_complete()
            outcome = self._call(kinds[-1])
            if outcome.killed:
                kinds.pop()
                if self.tally.kills % 10 == 0:
                    print(f"{self._name}: {self.tally.line()}", flush=True)
        if not study.is_complete(self._before):
            self._undisturbed_call(_COLD if cold else _WARM, self._home, None)
            self._look()
        self._begin_anew_if_complete()
        if self._pending:
            self._note("stuck", "the last study does not come to its end")
        return self.tally

    def _call(self, kind: str) -> Outcome:
        """Call the study, kill it somewhere, and look at what is there."""
        how = attack.blow(self._random, kind == _COLD, self._seconds[kind], self._events[kind], self._plan)
        self.tally.calls += 1
        outcome = attack.strike(_STARTS[kind], self._home, how, self._log)
        self._look()
        if outcome.killed:
            self._pending += 1
            self.tally.count(kind, how.way, how.whom, outcome.place)
        self._judge(kind, how, outcome)
        return outcome

    def _judge(self, kind: str, how: Blow, outcome: Outcome) -> None:
        if outcome.killed and outcome.left and how.whom == attack.FIRST and kind == _WARM:
            self._note("orphans", "a kernel outlived its study")
        if outcome.status == 0 and not study.is_complete(self._before):
            self._note("lost", f"a call ended well and left its study incomplete:\n{self._said()}")
        if outcome.status and not outcome.killed:
            self._note("stuck", f"a call failed by itself:\n{self._said()}")

    def _look(self) -> None:
        after = study.look(self._home.folder)
        self.tally.records += len(after.records)
        self.tally.notebooks += len(after.pairs)
        self.tally.stages += len(after.stages)
        for problem in after.wrong:
            self._note("half_written", problem)
        for problem in study.against(after, self._reference(after)):
            self._note("differing", problem)
        for problem in study.lost(self._before, after):
            self._note("lost", problem)
        self._before = after

    def _reference(self, found: State) -> State:
        """What an undisturbed study makes from the same pretrained weights.

        Pretraining that goes on from its middle draws other words to mask than it would have: its loader reads a batch
        ahead, and what that draws is not drawn again. It has two steps here, and so there are two such weights.
        """
        weights = study.backbone(found)
        if weights and weights not in self._references and len(self._references) < _BACKBONES:
            stages = self._undisturbed.folder / "checkpoints"
            for folder in (stages, self._undisturbed.folder / "results"):
                shutil.rmtree(folder)
            stages.mkdir()
            (folder,) = (self._home.folder / "checkpoints").glob("backbone-????????????????")
            shutil.copytree(folder, stages / folder.name)
            self._undisturbed_call(_WARM, self._undisturbed, None)
            self._references[weights] = study.look(self._undisturbed.folder)
        return self._references.get(weights, next(iter(self._references.values())))

    def _begin_anew_if_complete(self) -> None:
        if study.is_complete(self._before):
            self.tally.completed += 1
            self.tally.other_masks += study.backbone(self._before) != next(iter(self._references))
            self.tally.resumed += self._pending
            self._pending = 0
            self._take_away()
            self._before = study.look(self._home.folder)

    def _take_away(self) -> None:
        """Everything, or the results of one run, with all that was trained for it or without."""
        results, stages = self._home.folder / "results" / study.NAME, self._home.folder / "checkpoints"
        run = self._random.choice(["", *sorted(self._before.pairs)])
        if not run:
            shutil.rmtree(results)
            shutil.rmtree(stages)
            return
        for suffix in (".json", ".ipynb"):
            (results / f"{run}{suffix}").unlink()
        if self._random.random() < 0.7:
            for folder in stages.glob(f"{study.STAGES.get(run, 'none')}-????????????????"):
                shutil.rmtree(folder)

    def _measure(self, kind: str, home: Checkout) -> None:
        """How long an undisturbed call takes, and what each of its processes changes."""
        self._channel.write_bytes(b"")
        self._seconds[kind] = self._undisturbed_call(kind, home, Plan(str(home.folder), str(self._channel)))
        told = [line.split("\t")[:3] for line in self._channel.read_text(encoding="utf-8").splitlines()]
        most: dict[tuple[str, str], int] = {}
        for (_, role, event), count in Counter(map(tuple, told)).items():
            most[role, event] = max(count, most.get((role, event), 0))
        self._events[kind] = most

    def _undisturbed_call(self, kind: str, home: Checkout, plan: Plan | None) -> float:
        began = time.monotonic()
        self.tally.calls += 1
        victim = _STARTS[kind](home, plan, self._log)
        while victim.poll() is None:
            time.sleep(0.05)
        if victim.poll():
            self._note("stuck", f"a call failed by itself:\n{self._said()}")
        return time.monotonic() - began

    def _plan(self, role: str, event: str, number: int, stop: bool) -> Plan:
        return Plan(str(self._home.folder), str(self._channel), role, event, number, stop)

    def _note(self, count: str, problem: str) -> None:
        setattr(self.tally, count, getattr(self.tally, count) + 1)
        self.tally.problems.append(problem)
        print(f"PROBLEM {problem}", flush=True)

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:]
