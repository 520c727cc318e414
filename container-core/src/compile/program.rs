//! The program itself: where it starts, where it is looked for.

use container_child::op::Op;

use super::Input;
use crate::plan::Builder;

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn working_folder(input: &Input<'_>, b: &mut Builder) {
    let path = b.text(&input.spec.process.cwd, "process.cwd");
    b.op(Op::Cwd { path }, "process.cwd");
}

/// The child tries the candidates in order: only it sees the container's files.
pub(crate) fn exec(args: &[String], env: &[String], b: &mut Builder) {
    let program = args.first().map(String::as_str).unwrap_or_default();
    let candidates: Vec<u32> = candidates(program, env).iter().map(|path| b.text(path, "process.args[0]").0).collect();
    let paths = b.list(&candidates);
    let argv = b.table(args, "process.args");
    let envp = b.table(env, "process.env");
    b.op(Op::Exec { paths, argv, envp }, "process.args");
}

fn candidates(program: &str, env: &[String]) -> Vec<String> {
    if program.contains('/') {
        return vec![program.to_owned()];
    }
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    path.split(':')
        .map(|folder| match folder {
            "" => format!("./{program}"),
            folder => format!("{}/{program}", folder.trim_end_matches('/')),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn names_are_searched_and_paths_are_not() {
        let env = ["PATH=/a:/b/:".to_owned()];
        assert_eq!(candidates("x", &env), ["/a/x", "/b/x", "./x"]);
        assert_eq!(candidates("./x", &env), ["./x"]);
        assert_eq!(candidates("x", &[])[0], "/usr/local/sbin/x");
    }
}
