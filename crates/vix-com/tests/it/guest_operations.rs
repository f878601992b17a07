//! What is done in a guest: the COM library does it as the C library does, by name and by slot.

use replix_testkit::{DiskType, VmBuilder};

use crate::client::{Client, Way};
use crate::guest::image;
use crate::wine::Wine;

/// One guest, booted once, answers in every way.
#[test]
fn guest_answers_com_as_it_answers_c() {
    let (Some(image), Some(wine)) = (image(), Wine::new()) else {
        return;
    };
    let vm = VmBuilder::at(&wine.machines().join("vm1"), "ubuntu")
        .disk_from("scsi0:0", DiskType::MonolithicSparse, &image, "vmdk")
        .line("memsize", "128")
        .build();
    let path = vm.vmx.to_str().unwrap();
    wine.vmrun(&["start", path, "nogui"]);
    let answers = [Way::C, Way::BySlot, Way::ByName].map(|way| {
        let library = wine.machines().join(format!("{way:?}"));
        std::fs::create_dir(&library).unwrap();
        std::fs::write(library.join("sent"), "from the host\n").unwrap();
        let (vmx, folder) = match way {
            Way::C => (path.into(), library.to_str().unwrap().into()),
            _ => (wine.name_of(&vm.vmx), wine.name_of(&library)),
        };
        let lines = Client::new("guest", way).run(&wine, &[&vmx, &folder]);
        let came = std::fs::read_to_string(library.join("came")).unwrap();
        assert_eq!(came, "from the host\n", "{way:?}");
        lines
    });
    wine.vmrun(&["stop", path, "hard"]);
    println!("{:#?}", answers[0]);
    assert!(answers[0].len() > 50, "{:#?}", answers[0]);
    for line in ["power: 72", "tools: 2", "entries: 1: \"ü\""] {
        assert!(answers[0].iter().any(|said| said == line), "{line}");
    }
    assert_eq!(answers[1], answers[0], "by slot");
    assert_eq!(answers[2], answers[0], "by name");
}
