//! The banner and the help of `vmrun`, made from its table.

use std::fmt::Write as _;

use super::table::{Command, FLAGS, SECTIONS, Section};
use crate::text::columns;

/// The first line, whose beginning callers look for; the build is our own version.
const BANNER: &str = concat!(
    "vmrun version 1.17.0 build-",
    env!("CARGO_PKG_VERSION_MAJOR"),
    env!("CARGO_PKG_VERSION_MINOR"),
    env!("CARGO_PKG_VERSION_PATCH"),
);

const EXAMPLES: &str = "\
EXAMPLES
--------
  vmrun start /vms/web/web.vmx nogui
  vmrun stop /vms/web/web.vmx hard
  vmrun snapshot /vms/web/web.vmx base
  vmrun listSnapshots /vms/web/web.vmx showTree
  vmrun clone /vms/web/web.vmx /vms/web1/web1.vmx linked -snapshot=base -cloneName=web1
  vmrun list
";

/// Returns the banner, how to call the program, and the flags and commands by section.
pub(super) fn text() -> String {
    let mut out = format!(
        "{BANNER}\n\nUsage: vmrun [AUTHENTICATION-FLAGS] COMMAND [PARAMETERS]\n\n\
         AUTHENTICATION-FLAGS\n--------------------\n\
         They stand before the command; each takes the word after it.\n"
    );
    let flags = FLAGS.iter().map(|flag| {
        let head = format!("{} {}", flag.word, flag.value);
        vec![head, flag.help.to_string()]
    });
    out.push_str(&columns(2, &flags.collect::<Vec<_>>()));
    for section in SECTIONS {
        let _ = write!(out, "\n{}", section_text(section));
    }
    out.push_str("\n* not done here: answers that it is not supported\n\n");
    out.push_str(EXAMPLES);
    out
}

/// A section: its heading, a row of dashes, a row for every command, one more for every further
/// parameter.
fn section_text(section: &Section) -> String {
    let heading = [section.title, "PARAMETERS", "DESCRIPTION"];
    let mut rows = vec![
        heading.map(String::from).to_vec(),
        heading.map(|word| "-".repeat(word.len())).to_vec(),
    ];
    for command in section.commands {
        rows.extend(command_rows(command));
    }
    columns(0, &rows)
}

fn command_rows(command: &Command) -> Vec<Vec<String>> {
    let mut parameters = command.parameters.iter().map(|parameter| match *parameter {
        "VMX" => "Path of the .vmx file".to_string(),
        other => other.to_string(),
    });
    let mark = if command.ready { "" } else { " *" };
    let first = vec![
        command.name.to_string(),
        parameters.next().unwrap_or_default(),
        format!("{}{mark}", command.help),
    ];
    let further = parameters.map(|parameter| vec![String::new(), parameter]);
    std::iter::once(first).chain(further).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banner_comes_first() {
        let text = text();
        let lines: Vec<&str> = text.lines().take(3).collect();
        assert!(lines[0].starts_with("vmrun version 1.17.0 build-"));
        assert!(lines[0].rsplit('-').next().unwrap().parse::<u32>().is_ok());
        assert_eq!(lines[1], "");
        assert_eq!(
            lines[2],
            "Usage: vmrun [AUTHENTICATION-FLAGS] COMMAND [PARAMETERS]"
        );
    }

    #[test]
    fn section_lists_its_commands() {
        insta::assert_snapshot!(section_text(&SECTIONS[0]), @"
        POWER COMMANDS  PARAMETERS             DESCRIPTION
        --------------  ----------             -----------
        start           Path of the .vmx file  Power on or resume a VM
                        [gui|nogui]
        stop            Path of the .vmx file  Power off a VM
                        [hard|soft]
        reset           Path of the .vmx file  Reboot a VM
                        [hard|soft]
        suspend         Path of the .vmx file  Save a VM's memory and stop it
                        [hard|soft]
        pause           Path of the .vmx file  Halt the processors of a VM
        unpause         Path of the .vmx file  Let a paused VM go on
        ");
    }
}
