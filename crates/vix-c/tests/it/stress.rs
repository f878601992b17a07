//! Eight threads with thousands of jobs; fewer under valgrind, which sees every access.

use crate::program::Program;

#[test]
fn eight_threads_share_the_library() {
    Program::new("stress").run("many_jobs", &[&"3000"]);
}

#[test]
fn eight_threads_leave_memory_sound() {
    Program::new("stress").watch("many_jobs", &[&"60"]);
}

#[test]
fn forked_child_begins_anew() {
    Program::new("fork").run("child_begins_anew", &[]);
}
