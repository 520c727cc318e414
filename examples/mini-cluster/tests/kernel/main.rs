//! The cluster as people use it: the built binary, real namespaces, real containers.
//!
//! Every case works in a state folder of its own and leaves nothing behind. As an ordinary user the cluster lives in a
//! user namespace; where the kernel forbids those, the cases are skipped with that reason.

mod bad_input;
mod crash;
mod demo;
mod support;
mod users;

use std::process::ExitCode;

use test_lane::{Need, case};

fn main() -> ExitCode {
    let cluster: &'static [Need] = if nix::unistd::geteuid().is_root() { &[] } else { &[Need::UserNamespaces] };
    test_lane::main(vec![
        case("demo_holds_and_leaves_nothing_behind", cluster, demo::holds_and_leaves_nothing_behind),
        case("demo_is_tidied_after_ctrl_c", cluster, demo::is_tidied_after_ctrl_c),
        case("commands_speak_as_kubectl_does", cluster, demo::commands_speak_as_kubectl_does),
        case("malformed_yaml_names_line_and_column", cluster, bad_input::malformed_yaml_names_line_and_column),
        case("unknown_fields_are_warned_about", cluster, bad_input::unknown_fields_are_warned_about),
        case("an_unschedulable_pod_says_why_per_node", cluster, bad_input::an_unschedulable_pod_says_why_per_node),
        case("a_broken_image_is_told_in_the_status", cluster, bad_input::a_broken_image_is_told_in_the_status),
        case("without_a_cluster_commands_say_so", &[], bad_input::without_a_cluster_commands_say_so),
        case("kill_nine_leaves_a_legal_state", cluster, crash::kill_nine_leaves_a_legal_state),
        case(
            "refusals_name_what_is_missing",
            &[Need::UserNamespaces, Need::Program("unshare")],
            users::refusals_name_what_is_missing,
        ),
        case("a_second_user_reaches_nothing", &[Need::Root, Need::Program("setpriv")], users::reaches_nothing),
    ])
}
