"""`pneumo-edge bench`: one command for each question about time, memory and what answers are worth."""

import typer

from benchmarks import (
    ceiling,
    compare,
    devices,
    exit_report,
    framing,
    fuzz,
    gate,
    infer_process,
    model_selection,
    operations,
    photos,
    report,
    roofline,
    saliency,
    sandbox_cost,
)

app = typer.Typer(help="Measure what runs on this machine.", no_args_is_help=True)
app.command("report")(report.command)
app.command("compare")(compare.command)
app.command("devices")(devices.command)
app.command("process")(infer_process.command)
app.command("operations")(operations.command)
app.command("roofline")(roofline.command)
app.command("ceiling")(ceiling.command)
app.command("exit")(exit_report.command)
app.command("framing")(framing.command)
app.command("fuzz")(fuzz.command)
app.command("saliency")(saliency.command)
app.command("sandbox")(sandbox_cost.command)
app.command("gate")(gate.command)
app.command("photos")(photos.command)
app.command("selection")(model_selection.command)
