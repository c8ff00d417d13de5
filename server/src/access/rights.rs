//! The one table of rights: which role of the SOP may do what. Pure.
//!
//! Source of the roles: the SOP "Organisasi Layanan", section 2. `AdministratorSistem` is the one role that the SOP
//! takes for granted: whoever installs the system.

use serde::{Deserialize, Serialize};

/// Roles, in the SOP's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// 2.1
    KetuaLpse,
    /// 2.2
    KoordinatorHelpdesk,
    /// 2.3
    Helpdesk,
    /// 2.4
    PengelolaKapasitas,
    /// 2.5
    PengelolaPerubahan,
    /// 2.6
    PengelolaAset,
    /// 2.7
    PengelolaRisiko,
    /// 2.8
    KoordinatorKeamananInformasi,
    /// 2.9
    PengelolaPendukungLayanan,
    /// 2.10
    AdministratorKeuangan,
    /// 2.11
    KoordinatorKelangsunganLayanan,
    /// 2.12
    PengelolaHubunganPengguna,
    /// 2.13
    Penilai,
    /// Runs Siaga itself.
    AdministratorSistem,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 14] = [
        Self::KetuaLpse,
        Self::KoordinatorHelpdesk,
        Self::Helpdesk,
        Self::PengelolaKapasitas,
        Self::PengelolaPerubahan,
        Self::PengelolaAset,
        Self::PengelolaRisiko,
        Self::KoordinatorKeamananInformasi,
        Self::PengelolaPendukungLayanan,
        Self::AdministratorKeuangan,
        Self::KoordinatorKelangsunganLayanan,
        Self::PengelolaHubunganPengguna,
        Self::Penilai,
        Self::AdministratorSistem,
    ];

    /// Code in records, in the API and on the command line.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::KetuaLpse => "ketua_lpse",
            Self::KoordinatorHelpdesk => "koordinator_helpdesk",
            Self::Helpdesk => "helpdesk",
            Self::PengelolaKapasitas => "pengelola_kapasitas",
            Self::PengelolaPerubahan => "pengelola_perubahan",
            Self::PengelolaAset => "pengelola_aset",
            Self::PengelolaRisiko => "pengelola_risiko",
            Self::KoordinatorKeamananInformasi => "koordinator_keamanan_informasi",
            Self::PengelolaPendukungLayanan => "pengelola_pendukung_layanan",
            Self::AdministratorKeuangan => "administrator_keuangan",
            Self::KoordinatorKelangsunganLayanan => "koordinator_kelangsungan_layanan",
            Self::PengelolaHubunganPengguna => "pengelola_hubungan_pengguna",
            Self::Penilai => "penilai",
            Self::AdministratorSistem => "administrator_sistem",
        }
    }

    /// The role of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.code() == code)
    }
}

/// What a route can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// See the overview, servers and their figures; ask PromQL.
    ViewServers,
    /// Write samples with a token of a user (agents write as themselves).
    WriteSamples,
    /// Bring in history.
    ImportHistory,
    /// Delete samples for good.
    DeleteSamples,
    /// Enrol and retire hosts; decide which of the services that their agents found are watched.
    ManageFleet,
    /// See forecasts and plans of capacity.
    ViewCapacity,
    /// Make forecasts anew; decide on plans of capacity.
    PlanCapacity,
    /// See the helpdesk queue.
    ViewIncidents,
    /// Take, comment, resolve and record incidents.
    HandleIncidents,
    /// Change priority and assignee of any incident.
    CoordinateIncidents,
    /// See the register of assets and its changes.
    ViewAssets,
    /// Enter what agents cannot see.
    ManageAssets,
    /// See plans, drills and reports of continuity.
    ViewContinuity,
    /// Start and stop drills.
    RunDrills,
    /// Approve drills; a plan names those of these roles that it wants.
    ApproveDrills,
    /// Declare and lift emergencies, and keep their record.
    DeclareEmergency,
    /// See users and the audit trail.
    ViewAccess,
    /// Manage users and their roles.
    ManageAccess,
}

impl Right {
    /// Code in the API's description.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ViewServers => "view_servers",
            Self::WriteSamples => "write_samples",
            Self::ImportHistory => "import_history",
            Self::DeleteSamples => "delete_samples",
            Self::ManageFleet => "manage_fleet",
            Self::ViewCapacity => "view_capacity",
            Self::PlanCapacity => "plan_capacity",
            Self::ViewIncidents => "view_incidents",
            Self::HandleIncidents => "handle_incidents",
            Self::CoordinateIncidents => "coordinate_incidents",
            Self::ViewAssets => "view_assets",
            Self::ManageAssets => "manage_assets",
            Self::ViewContinuity => "view_continuity",
            Self::RunDrills => "run_drills",
            Self::ApproveDrills => "approve_drills",
            Self::DeclareEmergency => "declare_emergency",
            Self::ViewAccess => "view_access",
            Self::ManageAccess => "manage_access",
        }
    }
}

/// Whether any of `roles` has `right`. This match is the table.
#[must_use]
pub fn may(roles: &[Role], right: Right) -> bool {
    use Role as R;
    roles.iter().any(|role| match right {
        // The SOP has everybody see the state of the service: duties 2.1 to 2.13 all rest on it.
        Right::ViewServers
        | Right::ViewCapacity
        | Right::ViewIncidents
        | Right::ViewAssets
        | Right::ViewContinuity => true,
        Right::WriteSamples
        | Right::ImportHistory
        | Right::DeleteSamples
        | Right::ManageFleet
        | Right::ManageAccess => matches!(role, R::AdministratorSistem),
        Right::PlanCapacity => matches!(role, R::PengelolaKapasitas | R::AdministratorSistem),
        Right::HandleIncidents => {
            matches!(role, R::Helpdesk | R::KoordinatorHelpdesk | R::AdministratorSistem)
        }
        Right::CoordinateIncidents => matches!(role, R::KoordinatorHelpdesk | R::AdministratorSistem),
        Right::ManageAssets => matches!(role, R::PengelolaAset | R::AdministratorSistem),
        Right::RunDrills => matches!(role, R::KoordinatorKelangsunganLayanan | R::AdministratorSistem),
        // Those who answer for the service, its changes, risks and security (2.1, 2.5, 2.7, 2.8, 2.11).
        Right::ApproveDrills => matches!(
            role,
            R::KetuaLpse
                | R::PengelolaPerubahan
                | R::PengelolaRisiko
                | R::KoordinatorKeamananInformasi
                | R::KoordinatorKelangsunganLayanan
                | R::AdministratorSistem
        ),
        // LKPP 2014, standard 12 f: the coordinator declares and closes it (2.11); the head of the office may too.
        Right::DeclareEmergency => {
            matches!(role, R::KoordinatorKelangsunganLayanan | R::KetuaLpse | R::AdministratorSistem)
        }
        Right::ViewAccess => matches!(
            role,
            R::KetuaLpse | R::KoordinatorKeamananInformasi | R::Penilai | R::AdministratorSistem
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_code_of_its_own_that_reads_back() {
        for role in Role::ALL {
            assert_eq!(Role::from_code(role.code()), Some(role));
        }
    }

    #[test]
    fn duties_of_the_sop_are_rights_and_others_are_refused() {
        for (role, right, granted) in [
            (Role::Helpdesk, Right::HandleIncidents, true),
            (Role::Helpdesk, Right::CoordinateIncidents, false),
            (Role::KoordinatorHelpdesk, Right::CoordinateIncidents, true),
            (Role::PengelolaKapasitas, Right::PlanCapacity, true),
            (Role::PengelolaKapasitas, Right::RunDrills, false),
            (Role::KoordinatorKelangsunganLayanan, Right::RunDrills, true),
            (Role::KetuaLpse, Right::RunDrills, false),
            (Role::KetuaLpse, Right::ApproveDrills, true),
            (Role::Helpdesk, Right::ApproveDrills, false),
            (Role::KoordinatorKelangsunganLayanan, Right::DeclareEmergency, true),
            (Role::Helpdesk, Right::DeclareEmergency, false),
            (Role::Penilai, Right::ViewAccess, true),
            (Role::Penilai, Right::HandleIncidents, false),
            (Role::AdministratorSistem, Right::ManageAccess, true),
        ] {
            assert_eq!(may(&[role], right), granted, "{role:?} {right:?}");
        }
        assert!(!may(&[], Right::ViewServers), "a user without a role sees nothing");
    }
}
