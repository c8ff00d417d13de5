//! Kernel and host name: `node_uname_info`.

use super::{CollectError, Collector};
use crate::samples::Output;
use crate::source::Source;

pub(super) struct UnameInfo;

impl Collector for UnameInfo {
    fn collect(&mut self, _: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let uname = rustix::system::uname();
        let text =
            |field: &'static str, value: &std::ffi::CStr| (field, value.to_string_lossy().into_owned());
        let labels = [
            text("domainname", uname.domainname()),
            text("machine", uname.machine()),
            text("nodename", uname.nodename()),
            text("release", uname.release()),
            text("sysname", uname.sysname()),
            text("version", uname.version()),
        ];
        let labels: [(&str, &str); 6] = std::array::from_fn(|i| (labels[i].0, labels[i].1.as_str()));
        out.gauge("node_uname_info", &labels, 1.0);
        Ok(())
    }
}
