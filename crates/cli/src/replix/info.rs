//! `replix info VMX`: everything that can be said of a VM.

use std::path::PathBuf;

use replix::error::{escaped, quoted};
use replix::vm::{DeviceInfo, DiskInfo, Fit, MediumInfo, NicInfo, PowerState, Verdict, VmInfo};

use super::failure::Failure;
use super::screen::Answer;
use super::session::Session;
use crate::text::{columns, count, size};

/// More linked clones than this are not all named.
const MOST_CLONES: usize = 8;

/// Show what a VM is: hardware, disks, network, snapshots, state, and what is wrong with it
///
/// What is missing beside the .vmx is a warning: the exit code stays 0.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The VM: its .vmx, or its folder
    vmx: PathBuf,
}

/// Shows a VM.
pub(super) fn run(args: &Args, session: &mut Session) -> Result<Answer, Failure> {
    let info = session.vm(&args.vmx)?.info()?;
    session.screen.show(&render(&info));
    Answer::new(&info)
}

fn render(info: &VmInfo) -> String {
    let mut out = format!("{}\n", escaped(&info.display_name));
    out.push_str(&columns(2, &facts(info)));
    section(&mut out, "Disks", info.disks.iter().map(disk_row));
    section(&mut out, "Media", info.media.iter().map(medium_row));
    section(&mut out, "Network", info.nics.iter().map(nic_row));
    let verdict = match info.boot.verdict {
        Verdict::Yes => "yes",
        Verdict::Perhaps => "perhaps",
        Verdict::No => "no",
    };
    let title = format!("Boots here: {verdict}");
    section(&mut out, &title, info.devices.iter().map(device_row));
    let reasons = &info.boot.reasons;
    let others = info.warnings.iter().filter(|told| !reasons.contains(told));
    let rows = reasons.iter().map(|reason| vec![escaped(reason)]);
    let title = match info.boot.verdict {
        Verdict::No => "What stands in the way",
        _ => "What may stand in the way",
    };
    section(&mut out, title, rows);
    let remarks = problems(info).chain(others.cloned());
    let rows = remarks.map(|remark| vec![escaped(&remark)]);
    section(&mut out, "Warnings", rows);
    out
}

/// What is wrong with disks and not told by the warnings, which add the cure.
fn problems(info: &VmInfo) -> impl Iterator<Item = String> {
    let problems = info.disks.iter().filter_map(|disk| {
        let problem = disk.problem.as_ref()?;
        Some(format!("{}: {problem}", disk.node))
    });
    let told = |problem: &String| info.warnings.iter().any(|told| told.starts_with(problem));
    problems.filter(move |problem| !told(problem))
}

fn section(out: &mut String, title: &str, rows: impl Iterator<Item = Vec<String>>) {
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        out.push_str(&format!("\n{title}\n"));
        out.push_str(&columns(2, &rows));
    }
}

fn facts(info: &VmInfo) -> Vec<Vec<String>> {
    let memory = info.memory_mib.saturating_mul(1 << 20);
    let firmware = escaped(&info.firmware);
    let mut facts = vec![
        ("path", escaped(&info.path.to_string_lossy())),
        ("state", state(info)),
        ("guest", escaped(&info.guest_os)),
        (
            "hardware",
            format!(
                "version {}, {}, {}, {firmware}",
                info.hardware_version,
                count(info.cpus as usize, "CPU"),
                size(memory)
            ),
        ),
    ];
    let mut optional = |name, value: Option<String>| facts.extend(value.map(|text| (name, text)));
    optional("runs on", info.accelerator.as_deref().map(escaped));
    optional("uuid", info.uuid_bios.as_deref().map(escaped));
    optional("snapshots", snapshots(info));
    optional("clone of", info.clone_of.as_ref().map(quoted));
    let shown = if info.clones.len() > MOST_CLONES {
        MOST_CLONES - 1
    } else {
        MOST_CLONES
    };
    for clone in info.clones.iter().take(shown) {
        optional("cloned to", Some(quoted(clone)));
    }
    let more = info.clones.len().saturating_sub(shown);
    optional(
        "",
        (more > 0).then(|| format!("and {more} more: see replix tree")),
    );
    optional("template", info.template.then(|| "yes".to_string()));
    optional("read-only", info.read_only.then(|| "yes".to_string()));
    let row = |(name, value): (&str, String)| vec![name.to_string(), value];
    facts.into_iter().map(row).collect()
}

/// Returns a power state in a word or two.
pub(super) fn state_name(state: PowerState) -> &'static str {
    match state {
        PowerState::Off => "off",
        PowerState::On => "running",
        PowerState::Paused => "paused",
        PowerState::Suspended => "suspended",
        PowerState::Foreign => "running in VMware",
        PowerState::Locked => "off, held by another program",
    }
}

fn state(info: &VmInfo) -> String {
    let name = state_name(info.state);
    match &info.holder {
        Some(holder) => format!("{name} ({})", escaped(holder)),
        None => name.to_string(),
    }
}

fn snapshots(info: &VmInfo) -> Option<String> {
    if info.snapshots == 0 {
        return None;
    }
    let current = info.current_snapshot.as_ref();
    let current = current.map(|name| format!(", the state descends from {}", quoted(name)));
    Some(format!("{}{}", info.snapshots, current.unwrap_or_default()))
}

fn disk_row(disk: &DiskInfo) -> Vec<String> {
    let known = disk.create_type.is_some();
    let space = match disk.depth {
        0 => "unusable".into(),
        1 => size(disk.own_bytes),
        depth => format!(
            "{} and {} in {}",
            size(disk.own_bytes),
            size(disk.shared_bytes),
            count(depth - 1, "parent")
        ),
    };
    let mode = match disk.mode.as_str() {
        "" | "persistent" => String::new(),
        mode => format!(" ({})", escaped(mode)),
    };
    vec![
        escaped(&disk.node),
        if known {
            size(disk.capacity_bytes)
        } else {
            String::new()
        },
        disk.create_type.as_deref().map(escaped).unwrap_or_default(),
        space,
        format!("{}{mode}", quoted(&disk.file_name)),
    ]
}

fn medium_row(medium: &MediumInfo) -> Vec<String> {
    let missing = if medium.present { "" } else { " (missing)" };
    vec![
        escaped(&medium.device),
        escaped(&medium.kind),
        format!("{}{missing}", quoted(&medium.file_name)),
    ]
}

fn device_row(device: &DeviceInfo) -> Vec<String> {
    let fit = match device.fit {
        Fit::Same => "",
        Fit::Substitute => "in its place",
        Fit::Missing => "missing",
    };
    vec![
        escaped(&device.device),
        escaped(&device.model),
        device
            .counterpart
            .as_deref()
            .map(escaped)
            .unwrap_or_default(),
        fit.into(),
    ]
}

fn nic_row(nic: &NicInfo) -> Vec<String> {
    vec![
        escaped(&nic.device),
        escaped(&nic.model),
        escaped(&nic.connection),
        nic.mac.as_deref().map_or("no address yet".into(), escaped),
        escaped(&nic.address_type),
    ]
}

#[cfg(test)]
mod tests {
    use replix::vm::Boot;

    use super::*;

    #[test]
    fn everything_is_shown_and_escaped() {
        insta::assert_snapshot!(render(&crate::fake::info()), @r#"
        Web \u{1b}[31mserver
          path       /vms/web/web.vmx
          state      running in VMware (vmware-vmx, process 4711)
          guest      debian12-64
          hardware   version 20, 2 CPUs, 2 GiB, efi
          runs on    tcg: /dev/kvm cannot be opened
          uuid       56 4d 00 01
          snapshots  2, the state descends from "base"
          clone of   "../golden/golden.vmx"
          cloned to  "/clones/web1/web1.vmx"

        Disks
          scsi0:0  40 GiB  monolithicSparse  5 MiB and 3 GiB in 2 parents  "scsi0-0.vmdk"
          sata0:1                            unusable                      "sata0-1.vmdk"

        Media
          sata0:2  cdrom-image  "debian.iso" (missing)

        Network
          ethernet0  e1000  nat  00:0c:29:01:02:03  generated

        Boots here: perhaps
          scsi0      buslogic      lsi53c895a     in its place
          ethernet0  e1000         e1000-82545em
          vtpm       vtpm.present                 missing

        What may stand in the way
          scsi0 may not be found

        Warnings
          sata0:1: the file is missing
          the CD image "debian.iso" is missing: give it back or disconnect it
        "#);
    }

    #[test]
    fn bare_vm_has_no_empty_sections() {
        let info = VmInfo {
            disks: Vec::new(),
            media: Vec::new(),
            nics: Vec::new(),
            warnings: Vec::new(),
            snapshots: 0,
            clone_of: None,
            clones: Vec::new(),
            holder: None,
            state: PowerState::Off,
            uuid_bios: None,
            accelerator: None,
            devices: Vec::new(),
            boot: Boot::of(Vec::new(), Vec::new()),
            ..crate::fake::info()
        };
        insta::assert_snapshot!(render(&info), @r"
        Web \u{1b}[31mserver
          path      /vms/web/web.vmx
          state     off
          guest     debian12-64
          hardware  version 20, 2 CPUs, 2 GiB, efi
        ");
    }
}
