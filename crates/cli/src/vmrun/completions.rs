//! What shells complete the words of `vmrun` by, made from its table.

use std::fmt::Write as _;

use super::table::{Command, FLAGS, SECTIONS};

/// Finds the command among the words, counts those behind it, and offers by both.
const BASH: &str = r#"_vmrun() {
    local word cur=${COMP_WORDS[COMP_CWORD]} command= count=0 value= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ -n $command ]]; then ((count++))
        elif [[ -n $value ]]; then value=
        elif [[ $word == -* ]]; then value=$word
        else command=${word,,}
        fi
    done
    COMPREPLY=()
    if [[ -n $value ]]; then return
    elif [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "@WORDS@" -- "$cur"))
        return
    fi
    case $command:$count in
@CASES@    esac
}
complete -o default -F _vmrun vmrun
"#;

/// Returns the script for a shell; `None` for one that is not known.
pub(super) fn of(shell: &str) -> Option<String> {
    match shell {
        "bash" => Some(bash()),
        "zsh" => Some(format!(
            "autoload -U +X bashcompinit && bashcompinit\n{}",
            bash()
        )),
        "fish" => Some(fish()),
        _ => None,
    }
}

fn commands() -> impl Iterator<Item = &'static Command> {
    SECTIONS.iter().flat_map(|section| section.commands)
}

fn bash() -> String {
    let flags = FLAGS.iter().map(|flag| flag.word);
    let words: Vec<_> = flags
        .chain(commands().map(|command| command.name))
        .collect();
    let mut cases = String::new();
    for command in commands() {
        for (index, choices) in choices(command) {
            let name = command.name.to_ascii_lowercase();
            let _ = writeln!(
                cases,
                "        {name}:{index}) COMPREPLY=($(compgen -W \"{choices}\" -- \"$cur\")) ;;"
            );
        }
    }
    BASH.replace("@WORDS@", &words.join(" "))
        .replace("@CASES@", &cases)
}

/// The words that a command takes from a choice, by their place.
fn choices(command: &Command) -> impl Iterator<Item = (usize, String)> {
    let parameters = command.parameters.iter().enumerate();
    parameters.filter_map(|(index, parameter)| {
        let bare = parameter.trim_matches(['[', ']']);
        let is_choice = bare.contains('|') || *parameter != bare && !is_name(bare);
        let words = bare.replace('|', " ");
        is_choice.then(|| (index, words.replace("=NAME", "=")))
    })
}

/// Whether a parameter stands for a word of the caller's own.
fn is_name(parameter: &str) -> bool {
    parameter.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn fish() -> String {
    let names: Vec<_> = commands().map(|command| command.name).collect();
    let names = names.join(" ");
    let mut out = String::new();
    for command in commands() {
        let (name, help) = (command.name, command.help.replace('\'', "\\'"));
        let _ = writeln!(
            out,
            "complete -c vmrun -n 'not __fish_seen_subcommand_from {names}' -a {name} -d '{help}'"
        );
        for (_, choices) in choices(command) {
            let _ = writeln!(
                out,
                "complete -c vmrun -n '__fish_seen_subcommand_from {name}' -a '{choices}'"
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::process::Command as Process;

    use super::*;

    /// What bash offers for the last of `words`.
    fn offered(words: &[&str]) -> String {
        let script = format!(
            "{}\nCOMP_WORDS=(vmrun {})\nCOMP_CWORD={}\n_vmrun\necho \"${{COMPREPLY[*]}}\"",
            bash(),
            words.join(" "),
            words.len()
        );
        let output = Process::new("bash").args(["-c", &script]).output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_string()
    }

    #[test]
    fn bash_completes_commands_and_their_words() {
        assert_eq!(offered(&["listSn"]), "listSnapshots");
        assert_eq!(offered(&["-T", "ws", "rev"]), "revertToSnapshot");
        assert_eq!(offered(&["START", "a.vmx", "n"]), "nogui");
        assert_eq!(offered(&["clone", "a.vmx", "b.vmx", "''"]), "full linked");
        assert_eq!(offered(&["getGuestIPAddress", "a.vmx", "''"]), "-wait");
        assert_eq!(offered(&["start", "''"]), "");
    }

    #[test]
    fn unknown_shell_has_no_completions() {
        assert!(of("zsh").is_some() && of("fish").is_some());
        assert!(of("csh").is_none());
    }
}
