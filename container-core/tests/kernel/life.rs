//! Created, started, signalled, ended.

use container_core::{Ended, Error, Signal, Spec, Status};
use test_lane::{Outcome, Trial, case};

use super::support::{ROOT, Scratch, holds, id, launch, run, runtime, same, shell};

pub(crate) fn cases() -> Vec<Trial> {
    vec![
        case("runs_a_program_and_tells_its_exit", ROOT, runs),
        case("parks_until_started", ROOT, parks),
        case("signals_end_it", ROOT, signals),
        case("a_name_in_use_is_refused_and_a_leftover_is_not", ROOT, same_name),
        case("missing_and_forbidden_programs_are_told_apart", ROOT, programs),
    ]
}

fn runs() -> Outcome {
    let (status, text) = run(shell("echo hello; id -u; hostname; pwd; exit 7").hostname("inside"))?;
    same(&text.as_str(), &"hello\n0\ninside\n/\n")?;
    same(&status.code(), &7)
}

fn parks() -> Outcome {
    let scratch = Scratch::new();
    let container = runtime().create(&id(), launch(shell("exit 3"), &scratch))?;
    same(&container.status()?, &Status::Created)?;
    container.start()?;
    same(&container.wait()?.code(), &3)?;
    holds(matches!(container.start(), Err(Error::WrongStatus { .. })), "a second start was allowed")
}

fn signals() -> Outcome {
    let scratch = Scratch::new();
    let container = runtime().run(&id(), launch(Spec::container(["sleep", "100"]), &scratch))?;
    container.kill(Signal::KILL)?;
    same(&container.wait()?.ended, &Ended::Signaled { signal: Signal::KILL, core: false })
}

fn programs() -> Outcome {
    for (program, code) in [("nothing-like-this", 127), ("/no/such", 127), ("/etc/passwd", 126), ("/etc", 126)] {
        let scratch = Scratch::new();
        let Err(error) = runtime().run(&id(), launch(Spec::container([program]), &scratch)) else {
            return Err(format!("{program} was executed").into());
        };
        holds(error.docker_exit_code() == code, format!("{program}: {error:?}"))?;
    }
    Ok(())
}

fn same_name() -> Outcome {
    let (first, second, third) = (Scratch::new(), Scratch::new(), Scratch::new());
    let id = id();
    let container = runtime().run(&id, launch(Spec::container(["sleep", "100"]), &first))?;
    let outcome = runtime().run(&id, launch(shell("true"), &second));
    holds(matches!(outcome, Err(Error::Io { .. })), format!("{outcome:?}"))?;
    same(&container.status()?, &Status::Running)?;
    // What a killed launcher leaves: groups without members.
    container.kill(Signal::KILL)?;
    container.wait()?;
    container.detach();
    let container = runtime().run(&id, launch(shell("exit 9"), &third))?;
    same(&container.wait()?.code(), &9)
}
