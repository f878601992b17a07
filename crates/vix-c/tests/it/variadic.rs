//! Arguments of variable length, passed by C and by C++.

use std::process::{Command, Output};

use replix_testkit::{CProgram, Compiler, User, VixLibrary, valgrind};

use crate::user::{assert_done, clients};

fn run(compiler: Compiler, output: impl FnOnce(&mut Command) -> Output) {
    let source = clients().join("variadic.c");
    let program = CProgram::compile(&source, compiler, &VixLibrary::find());
    let user = User::new();
    let mut command = program.command();
    assert_done(&output(user.surround(&mut command)));
}

#[test]
fn arguments_of_all_types_arrive() {
    for compiler in Compiler::ALL {
        run(compiler, |client| client.output().unwrap());
    }
}

#[test]
fn nothing_is_left_behind_or_freed_twice() {
    run(Compiler::C89, |client| valgrind(client));
}
