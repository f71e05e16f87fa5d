"""One `train pretrain`: the films, then member after member with progress."""

from __future__ import annotations

from rich.console import Console

from train.distribute import join
from train.options import PretrainOptions, PretrainPlan
from train.pretrain import Pretrained, PretrainJob, pretrain_member
from train.progress import reading, tell_skipped, training
from train.unlabelled import read_unlabelled


def pretrain_members(options: PretrainOptions, asked: PretrainPlan) -> list[Pretrained]:
    """Pre-train what was asked for; see `pneumo-edge train pretrain --help`.

    Args:
        options: What was asked for.
        asked: What `train.options.plan_pretraining` made of them.

    Raises:
        PneumoEdgeError: bad films or weights; what was trained before it stays.
    """
    join(options.distribute)
    console = Console(stderr=True)
    with reading(console) as step:
        films = read_unlabelled(asked.folders, step)
    tell_skipped(films.skipped, console)
    console.print(f"{len(films)} films without labels; {len(films.skipped)} skipped")
    done = []
    for name in asked.members:
        job = PretrainJob(name, options.init, options.precision, options.distribute)
        with training(f"{name}, pre-training", console) as report:
            history = pretrain_member(options.out, films, asked.recipe, job, report)
        told = ", ".join(f"{k} {v:.3f}" for k, v in history.epochs[-1].explained.items())
        minutes = sum(epoch.seconds for epoch in history.epochs) / 60
        console.print(
            f"{name}: {len(history.epochs)} epochs in {minutes:.1f} min; explained of the teacher: {told}"
        )
        done.append(history)
    return done
