"""`pneumo-edge bench`: process, latency."""

import typer

from benchmarks import infer_process, latency

app = typer.Typer(help="Measure what runs on this machine.", no_args_is_help=True)
app.command("process")(infer_process.command)
app.command("latency")(latency.command)
