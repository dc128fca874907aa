"""The command line: parses, calls, prints."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from edgetally import __version__
from edgetally.commands.calibrate import calibrate
from edgetally.commands.component import component
from edgetally.commands.doctor import doctor
from edgetally.commands.inventory import inventory
from edgetally.commands.nucleus import nucleus
from edgetally.commands.replay import replay
from edgetally.commands.run import run
from edgetally.config import EngineName, Precision
from edgetally.errors import EdgetallyError, InputError
from edgetally.shortened import shortened

if TYPE_CHECKING:
    from types import FrameType

    from edgetally.bundle import ModelBundle
    from edgetally.detections import Detections

app = typer.Typer(
    name="edgetally",
    help="Count inventory with cameras, on the device, with the detector SageMaker trained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# click's base of all that is wrong with a command line; newer versions of typer bring their own.
_UsageError: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
_LONGEST = 1000  # characters of a line that is told
_MODEL = Path("models/boxes/bundle")
EngineOption = Annotated[
    EngineName, typer.Option(help="Runtime that executes the model; auto: the best installed.")
]
PrecisionOption = Annotated[
    Precision, typer.Option(help="Arithmetic; auto: what suits the device.")
]


def _show_version(*, is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log everything; show a traceback on an error.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    context.obj = debug
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


@app.command()
def convert(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new bundle.")],
    source: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time on Python 3.10
        typer.Argument(
            help="The training job's model.tar.gz, the folder it holds, s3://bucket/key, or what "
            "GluonCV exported (its folder or NAME-symbol.json)."
        ),
    ] = None,
    training_job: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Name of a SageMaker training job whose artifact to take from S3."),
    ] = None,
    classes: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Class names, comma separated, in the order of the training's ids; or a Ground "
            "Truth output manifest, or a text file of a name a line.",
            metavar="NAMES|FILE",
        ),
    ] = None,
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="The model's name in messages; default: the output folder's name."),
    ] = None,
    version: Annotated[str, typer.Option(help="The model's version in messages.")] = "1.0.0",
    image_shape: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Side of the input in pixels, where the artifact does not say."),
    ] = None,
    nms_threshold: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Overlap (IoU) from which the weaker of two boxes goes."),
    ] = None,
    nms_topk: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(help="Candidates kept before suppression; -1: all."),
    ] = None,
    force_suppress: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(
            "--force-suppress/--per-class",
            help="Suppress across classes, or only within one. Default: as trained.",
        ),
    ] = None,
    score_floor: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="Score below which nothing is a candidate."),
    ] = None,
    calibration: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="Folder of images, or Ground Truth manifest, to make int8 with.",
            metavar="FOLDER|MANIFEST",
        ),
    ] = None,
    verify: Annotated[
        Optional[bool],  # noqa: UP045
        typer.Option(
            "--verify/--no-verify",
            help="Prove every file equal to the training graph in MXNet or, without it, ONNX "
            "Runtime equal to OpenVINO. Default: where either can be done.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a bundle that is there.")
    ] = False,
    archive: Annotated[
        bool, typer.Option("--archive", help="Write the bundle as OUTPUT.tar.gz, too.")
    ] = False,
) -> None:
    """Turn a training artifact into a model bundle that a device can run.

    Example: edgetally convert model.tar.gz --output boxes --classes "blue box,yellow box"
    """
    from edgetally.conversion import convert as convert_artifact  # noqa: PLC0415 - needs an extra
    from edgetally.conversion.artifact.class_names import read_class_names  # noqa: PLC0415
    from edgetally.conversion.network.settings import NmsOverrides  # noqa: PLC0415

    if (source is None) == (training_job is None):
        raise InputError("give either a SOURCE or --training-job, and not both")
    if training_job is not None:
        from edgetally.conversion.artifact.aws import artifact_of  # noqa: PLC0415 - needs an extra

        source = artifact_of(training_job)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    bundle = convert_artifact(
        source or "",
        output,
        classes=read_class_names(classes) if classes is not None else None,
        name=name,
        version=version,
        nms=NmsOverrides(nms_threshold, nms_topk, force_suppress, score_floor),
        image_shape=image_shape,
        calibration=calibration,
        verify=verify,
        overwrite=overwrite,
        archive=archive,
        progress=_show_progress if sys.stderr.isatty() else None,
        warn=lambda line: typer.echo(f"edgetally: note: {_one_line(line)}", err=True),
    )
    typer.echo(
        f"{output}: {bundle.name} {bundle.version}, {bundle.architecture}, "
        f"{bundle.input_size} x {bundle.input_size}, classes {', '.join(bundle.classes)}"
    )


@app.command()
def inspect(
    path: Annotated[
        str,
        typer.Argument(help="A bundle's folder or archive, or an artifact that convert reads."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print what a bundle was proved and measured to be, or what an artifact holds.

    Example: edgetally inspect boxes
    """
    from edgetally.conversion.report.inspection import describe  # noqa: PLC0415 - an extra

    description = describe(path)
    if as_json:
        typer.echo(description.to_json())
    else:
        description.show(sys.stdout)


def _show_progress(line: str) -> None:
    typer.echo(_one_line(line), err=True)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End as the signal would, but tidy up on the way."""
    sys.exit(128 + number)


@app.command()
def tune(
    model: Annotated[Path, typer.Argument(help="Folder of the bundle.", metavar="BUNDLE")],
    cameras: Annotated[int, typer.Option(help="How many cameras it has to serve, 1 to 1024.")] = 1,
    fps: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            help="Frames a second that each camera wants, 0.001 to 1000; absent: as many as it can."
        ),
    ] = None,
    calibration: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="Folder of pictures that the cameras took; bf16 and int8 are only chosen where "
            "they find on them what fp32 does.",
            metavar="FOLDER",
        ),
    ] = None,
    allow_smaller_input: Annotated[
        bool,
        typer.Option(
            "--allow-smaller-input",
            help="Show what smaller inputs cost and bring, too; it takes some time more.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure every engine on this device, and let engine auto use the best from then on.

    It takes about a minute, and more with --allow-smaller-input.

    Example: edgetally tune boxes --cameras 4 --fps 5 --calibration pictures
    """
    from edgetally.bundle import ModelBundle  # noqa: PLC0415
    from edgetally.engines.tuned import refuse_unwritable, write_choice  # noqa: PLC0415
    from edgetally.tuning import PictureFolder  # noqa: PLC0415 - loads OpenCV
    from edgetally.tuning import tune as measure  # noqa: PLC0415

    if model.is_file():
        raise InputError(
            f"{shortened(model)} is a file, not the folder of a bundle; unpack it if it is a "
            f"bundle's archive, else use 'edgetally convert {shortened(model)} --output FOLDER'"
        )
    bundle = ModelBundle.load(model)
    refuse_unwritable()
    tuning = measure(
        bundle,
        cameras=cameras,
        fps=fps,
        pictures=PictureFolder(calibration) if calibration is not None else (),
        allow_smaller_input=allow_smaller_input,
        tell=_show_progress if sys.stderr.isatty() else None,
    )
    path = write_choice(tuning.choice)  # before it is shown, for nobody may be there to see
    if as_json:
        typer.echo(tuning.to_json())
    else:
        tuning.show(sys.stdout)
    typer.echo(f"edgetally: note: engine auto uses it from now on ({path})", err=True)


@app.command()
def detect(
    images: Annotated[list[Path], typer.Argument(help="Image files.", metavar="IMAGE…")],
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder of the bundle.")] = _MODEL,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Detections below this score are left out.")
    ] = 0.5,
    engine: EngineOption = "auto",
    precision: PrecisionOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Detect objects in images and print them.

    Example: edgetally detect photo.jpg --model boxes --json
    """
    from edgetally.capture import read_image  # noqa: PLC0415 - loads OpenCV
    from edgetally.detector import Detector  # noqa: PLC0415

    pictures = [(path, read_image(path)) for path in images]
    with Detector(model, engine, precision, score_threshold=threshold) as detector:
        results = []
        for path, picture in pictures:
            found = detector.detect(picture)
            height, width = picture.shape[:2]
            results.append(_as_dict(path, width, height, found, detector.bundle))
    if as_json:
        typer.echo(json.dumps(results, indent=2))
        return
    for result in results:
        typer.echo(f"{result['image']} ({result['width']} x {result['height']})")
        for row in result["detections"]:
            box = " ".join(f"{row['box'][side]:.4f}" for side in ("xmin", "ymin", "xmax", "ymax"))
            typer.echo(f"  {row['score']:.3f}  {row['class']}  {box}")
        if not result["detections"]:
            typer.echo(f"  nothing above {threshold:g}")


def _as_dict(
    path: Path, width: int, height: int, found: Detections, bundle: ModelBundle
) -> dict[str, Any]:
    return {
        "image": str(path),
        "width": width,
        "height": height,
        "model": {"name": bundle.name, "version": bundle.version, "sha256": bundle.sha256},
        "detections": [
            {
                "class": bundle.classes[class_id],
                "score": round(score, 4),
                "box": dict(
                    zip(
                        ("xmin", "ymin", "xmax", "ymax"),
                        (round(value, 5) for value in box),
                        strict=True,
                    )
                ),
            }
            for box, score, class_id in zip(
                found.boxes.tolist(), found.scores.tolist(), found.class_ids.tolist(), strict=True
            )
        ],
    }


@app.command()
def demo(
    models: Annotated[Path, typer.Option(help="Folder of the demo's artifact and clip.")] = Path(
        "models/boxes"
    ),
    output: Annotated[Path, typer.Option(help="Where the results go.")] = Path("out/demo"),
    engine: EngineOption = "auto",
) -> None:
    """Convert the demo artifact, count its clip, and compare with the known truth.

    Exits 0 only if every count equals the truth.
    """
    from edgetally.demo.run import run_demo  # noqa: PLC0415 - loads OpenCV

    if not run_demo(models, output, engine):
        raise typer.Exit(1)


app.command()(calibrate)
app.command()(doctor)
app.command()(nucleus)
app.command()(replay)
app.command()(run)
app.add_typer(inventory)
app.add_typer(component)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit: 0 done, 1 failed, 2 bad input."""
    try:
        _call(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as ended:
        # Whatever was left behind in a runtime or in OpenCV aborts the process when Python, ending,
        # stops its thread there, or keeps it from ending.
        is_own = arguments is None
        if is_own and any(thread.daemon for thread in threading.enumerate()):
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.flush()
            os._exit(ended.code if isinstance(ended.code, int) else 0)
        raise


def _call(given: list[str]) -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal can't show
    if not sys.warnoptions:
        warnings.simplefilter("default" if "--debug" in given else "ignore")
    try:
        sys.exit(app(given, prog_name="edgetally", standalone_mode=False))
    except _UsageError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "edgetally"
        text = _one_line(error.format_message()).rstrip(".")
        if text:  # none where the help was asked for by giving nothing
            typer.echo(f"edgetally: {text}; see {command} --help", err=True)
        sys.exit(2)
    except EdgetallyError as error:
        _tell(error, given)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - a user gets a line, not a traceback
        _tell(error, given)
        _give_up_output()
        sys.exit(1)


def _give_up_output() -> None:
    """Let what standard output does not take go nowhere: Python, ending, would fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _tell(error: Exception, given: list[str]) -> None:
    if "--debug" in given:
        traceback.print_exception(error)
    known = isinstance(error, EdgetallyError)
    text = str(error) if known else f"{type(error).__name__}: {error}; --debug tells more"
    typer.echo(f"edgetally: {_one_line(text)}", err=True)


def _one_line(text: str) -> str:
    """Make a text fit to print: spaces for line ends, no control characters, no novel."""
    shown = " ".join(text.split())
    shown = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in shown)
    return (
        shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST // 2]} … {shown[-_LONGEST // 2 :]}"
    )
