//! The tables and lists of the five documents, line by line, and the cells of the committed matrices that say the same.
//!
//! What stands left is the document's, what stands right the cell. A document's no is always `no`. Its yes is `yes`, or `with` what the
//! document takes for granted: the place in the tenant of somebody who manages a project, the person to whom User Properties belong.

use std::collections::HashMap;
use std::fs;

use super::schema;

type Cells = HashMap<(String, String), String>;

/// The cells of a committed matrix, by row and column.
fn committed(name: &str) -> Cells {
    let text = fs::read_to_string(schema(&format!("{name}.matrix.md"))).unwrap();
    let mut cells = Cells::new();
    let mut columns: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("|---") {
            continue;
        }
        let Some(line) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            columns.clear();
            continue;
        };
        let mut line: Vec<String> = line.split(" | ").map(|cell| cell.replace('\\', "")).collect();
        let row = line.remove(0);
        if columns.is_empty() {
            columns = line;
            continue;
        }
        for (column, cell) in columns.iter().zip(line) {
            cells.insert((row.clone(), column.clone()), cell);
        }
    }
    assert!(!cells.is_empty(), "{name}");
    cells
}

/// Of the document: who, and what; of the matrix: row, columns, and the cell.
type Line<'l> = (&'l str, &'l str, &'l str, &'l [&'l str], &'l str);

fn says(cells: &Cells, lines: &[Line<'_>]) {
    for (who, what, row, columns, expected) in lines {
        for column in *columns {
            let cell = cells.get(&((*row).to_owned(), (*column).to_owned()));
            assert_eq!(cell.map(|it| &**it), Some(*expected), "{who}: {what} ({row}, {column})");
        }
    }
}

#[test]
fn live_studio_s_table_of_24_cells() {
    const COLUMNS: [(&str, &[&str]); 6] = [
        (
            "Manage Collaborators",
            &[
                "can_manage_collaborators",
                "can_invite_collaborator",
                "can_edit_collaborator_role",
                "can_remove_collaborator",
            ],
        ),
        ("Manage Billing", &["can_manage_billing"]),
        ("Edit Studio Settings", &["can_edit_settings"]),
        ("Add/Edit Sources", &["can_add_source", "can_edit_source"]),
        ("Control Live Production", &["can_control_production"]),
        ("View Sources", &["can_view_sources"]),
    ];
    const ROWS: [(&str, &str, [&str; 6]); 4] = [
        ("Owner", "studio.owner", ["yes", "yes", "yes", "yes", "yes", "yes"]),
        ("Admin", "studio.admin", ["yes", "yes", "yes", "yes", "yes", "yes"]),
        ("Producer", "studio.producer", ["no", "no", "no", "no", "yes", "yes"]),
        ("Viewer", "studio.viewer", ["no", "no", "no", "no", "no", "yes"]),
    ];
    let cells = committed("live-studio");
    for (role, row, expected) in ROWS {
        for ((heading, columns), expected) in COLUMNS.iter().zip(expected) {
            says(&cells, &[(role, heading, row, columns, expected)]);
        }
    }
    says(
        &cells,
        &[
            (
                "Owner",
                "can transfer their ownership rights",
                "studio.owner",
                &["can_transfer_ownership"],
                "yes",
            ),
            ("Admin", "transfers nothing", "studio.admin", &["can_transfer_ownership"], "no"),
            ("Admin", "appointed by the studio owner", "studio.owner", &["can_appoint_admin"], "yes"),
            ("Admin", "appointed by the studio owner", "studio.admin", &["can_appoint_admin"], "no"),
            ("Producer", "invite a new collaborator", "studio.producer", &["can_invite_collaborator"], "no"),
            ("Viewer", "delete sources", "studio.viewer", &["can_delete_source"], "no"),
            ("Viewer", "chat depends on the settings", "studio.viewer", &["can_chat"], "with viewer_chat"),
            ("Admin", "enables chat", "studio.admin", &["can_set_viewer_chat"], "yes"),
        ],
    );
}

#[test]
fn fastpix_s_lists_of_admin_and_member() {
    let cells = committed("fastpix");
    let (admin, member) = ("organization.admin", "organization.member");
    says(
        &cells,
        &[
            ("Admin", "send invite", admin, &["can_invite_member"], "yes"),
            ("Admin", "edit access", admin, &["can_edit_role", "can_edit_workspace_access"], "yes"),
            ("Admin", "delete invited member", admin, &["can_delete_invited_member"], "yes"),
            ("Admin", "remove other member", admin, &["can_remove_member"], "yes"),
            // By making another admin: that there is one is a further fact.
            ("Admin", "leave by making another admin", admin, &["can_leave"], "with has_co_admin"),
            ("Admin", "add new Workspace", admin, &["can_add_workspace"], "yes"),
            ("Admin", "edit a Workspace", "workspace.organization.admin", &["can_edit"], "yes"),
            ("Admin", "delete the Workspace", "workspace.organization.admin", &["can_delete"], "yes"),
            ("Admin", "view Workspace details", "workspace.organization.admin", &["can_view"], "yes"),
            ("Admin", "create Signing Key", admin, &["can_create_signing_key"], "yes"),
            ("Admin", "delete Signing Key", "signing_key.organization.admin", &["can_delete"], "yes"),
            ("Admin", "get all Signing Keys", "signing_key.organization.admin", &["can_view"], "yes"),
            ("Admin", "view all Access Tokens", "access_token.organization.admin", &["can_view"], "yes"),
            ("Admin", "revoke an Access Token", "access_token.organization.admin", &["can_revoke"], "yes"),
            ("Admin", "generate new Access Token", admin, &["can_generate_access_token"], "yes"),
            ("Admin", "create new Media", admin, &["can_create_media"], "yes"),
            ("Admin", "delete existing Media", "media.organization.admin", &["can_delete"], "yes"),
            ("Admin", "update Media", "media.organization.admin", &["can_update"], "yes"),
            ("Admin", "create new Live Stream", admin, &["can_create_live_stream"], "yes"),
            (
                "Admin",
                "delete existing Live Stream",
                "live_stream.organization.admin",
                &["can_delete"],
                "yes",
            ),
            ("Member", "view members", member, &["can_view_members"], "yes"),
            ("Member", "view Organization details", member, &["can_view"], "yes"),
            ("Member", "edit Workspace details", "workspace.organization.member", &["can_edit"], "yes"),
            (
                "Member",
                "no Signing Key details",
                "signing_key.organization.member",
                &["can_view", "can_delete"],
                "no",
            ),
            (
                "Member",
                "no Access Token details",
                "access_token.organization.member",
                &["can_view", "can_revoke"],
                "no",
            ),
            ("Member", "view Media details", "media.organization.member", &["can_view"], "yes"),
            ("Member", "view Live Stream details", "live_stream.organization.member", &["can_view"], "yes"),
            ("Member", "can't edit or delete", "workspace.organization.member", &["can_delete"], "no"),
            (
                "Member",
                "can't edit or delete",
                "media.organization.member",
                &["can_update", "can_delete"],
                "no",
            ),
            ("Member", "can't edit or delete", "live_stream.organization.member", &["can_delete"], "no"),
            (
                "Member",
                "none of the admin's acts",
                member,
                &[
                    "can_invite_member",
                    "can_edit_role",
                    "can_edit_workspace_access",
                    "can_delete_invited_member",
                    "can_remove_member",
                    "can_add_workspace",
                    "can_create_signing_key",
                    "can_generate_access_token",
                    "can_create_media",
                    "can_create_live_stream",
                ],
                "no",
            ),
            // Dashboard and API alike: a session has what its holder has.
            (
                "Admin",
                "API and Dashboard",
                "session.holder",
                &["can_act_as_admin"],
                "with organization.admin",
            ),
            ("Member", "API and Dashboard", "session.organization.member", &["can_act_as_admin"], "no"),
        ],
    );
}

#[test]
fn studio_s_three_roles() {
    let cells = committed("studio");
    let areas: [(&str, &str); 6] = [
        ("call flows, read", "can_read_call_flows"),
        ("call flows, write", "can_write_call_flows"),
        ("analytics, read", "can_read_analytics"),
        ("analytics, write", "can_write_analytics"),
        ("profiles, read", "can_read_profiles"),
        ("profiles, write", "can_write_profiles"),
    ];
    let manage_users = [
        "can_manage_users",
        "can_create_user",
        "can_invite_user",
        "can_assign_role",
        "can_customise_permissions",
    ];
    // The role by its default permissions, as somebody's User Properties: it takes the person, `holder`.
    let yes = "with user_properties.holder";
    for (role, reads, writes, manages) in
        [("ac_admin", yes, yes, yes), ("ac_rw", yes, yes, "no"), ("ac_ro", yes, "no", "no")]
    {
        let row = format!("account.user_properties.by_role [role:{role}]");
        for (what, column) in areas {
            let expected = if what.ends_with("read") { reads } else { writes };
            says(&cells, &[(role, what, &row, &[column], expected)]);
        }
        says(&cells, &[(role, "Manage | Users", &row, &manage_users, manages)]);
        // Nothing of a service provider's.
        let provider = [
            "can_manage",
            "can_assign_account_plan",
            "can_manage_password_policies",
            "can_check_usage",
            "can_publish_tasks",
        ];
        says(&cells, &[(role, "a service provider's acts", &row, &provider, "no")]);
    }
    // Customised permissions stay within the role: what was kept, and the role does not allow, is a no.
    let kept = "account.user_properties.kept_write_call_flows [role:ac_ro]";
    says(&cells, &[("ac_ro", "a kept write", kept, &["can_write_call_flows"], "no")]);
    let all = areas.map(|(_, column)| column);
    let (staff, system) = ("account.provider.staff", "account.provider.system.superuser");
    let acts = [
        "can_assign_account_plan",
        "can_add_and_assign_phone_numbers",
        "can_manage_password_policies",
        "can_check_usage",
        "can_publish_tasks",
    ];
    let superuser = [
        "can_manage_service_providers",
        "can_add_and_assign_phone_numbers",
        "can_add_voices",
        "can_assign_business_plans",
        "can_add_regions",
        "can_add_payment_gateways",
        "can_add_sms_providers",
        "can_manage_roles",
    ];
    for (who, row) in [("Service provider", staff), ("System user", system)] {
        says(
            &cells,
            &[
                (who, "accounts in the purview", row, &acts, "yes"),
                (who, "everything available to account users", row, &all, "yes"),
                (who, "assigns roles within the purview", row, &manage_users, "yes"),
            ],
        );
    }
    says(
        &cells,
        &[
            (
                "Service provider",
                "creates accounts",
                "service_provider.staff",
                &["can_create_account"],
                "yes",
            ),
            ("Service provider", "manages no provider", "service_provider.staff", &["can_manage"], "no"),
            ("System user", "manages providers", "service_provider.system.superuser", &["can_manage"], "yes"),
            ("System user", "the eight acts", "system.superuser", &superuser, "yes"),
            ("Account user", "scope = ac", "api_key.as_account_user", &["can_call_ac"], "with holder"),
            ("Account user", "not scope = sp", "api_key.as_account_user", &["can_call_sp"], "no"),
            (
                "Service provider",
                "scope = sp",
                "api_key.as_service_provider",
                &["can_call_sp"],
                "with holder",
            ),
        ],
    );
    // Nobody else holds any of the eight.
    assert_eq!(cells.keys().filter(|(_, column)| column == "can_manage_roles").count(), 1);
}

#[test]
fn artstash_s_lists() {
    let cells = committed("artstash");
    let (admin, regular) = ("tenant.admin", "tenant.regular");
    let placed = "with tenant.regular or tenant.admin";
    // A manager is one only as a member of the workspace and a user of the tenant.
    let managing = "(workspace.member, workspace.tenant.regular)";
    let acts = ["can_upload", "can_download", "can_share"];
    says(
        &cells,
        &[
            ("Admin", "invites and removes users", admin, &["can_invite_user", "can_remove_user"], "yes"),
            ("Admin", "deletes data", admin, &["can_delete_data"], "yes"),
            ("Admin", "what the regular user can", admin, &["can_create_workspace"], "yes"),
            (
                "Admin",
                "deletes data anywhere",
                "asset.project.workspace.tenant.admin",
                &["can_delete"],
                "yes",
            ),
            ("Admin", "deletes data anywhere", "project.workspace.tenant.admin", &["can_delete"], "yes"),
            ("Admin", "deletes data anywhere", "workspace.tenant.admin", &["can_delete"], "yes"),
            // To a workspace the admin is invited as anybody is.
            ("Admin", "only when invited", "workspace.tenant.admin", &["can_enter"], "with member or owner"),
            ("User", "creates workspaces", regular, &["can_create_workspace"], "yes"),
            (
                "User",
                "no inviting to the tenant",
                regular,
                &["can_invite_user", "can_remove_user", "can_delete_data"],
                "no",
            ),
            ("User", "only when invited", "workspace.tenant.regular", &["can_enter"], "with member or owner"),
            ("User", "invited", "workspace.member", &["can_enter", "can_create_project"], placed),
            ("User", "invites to their own workspace", "workspace.owner", &["can_invite_user"], placed),
            ("User", "invites to no other workspace", "workspace.member", &["can_invite_user"], "no"),
            ("User", "deletes nothing", "workspace.owner", &["can_delete"], "no"),
            ("User", "deletes nothing", "project.manager", &["can_delete"], "no"),
            ("User", "who uploaded it", "asset.creator", &["can_delete", "can_download", "can_share"], "no"),
        ],
    );
    for column in acts {
        let cell = &cells[&("project.manager".to_owned(), column.to_owned())];
        assert!(cell.starts_with(&format!("with {managing}")), "{column}: {cell}");
        // Not without managing it.
        let cell = &cells[&("project.workspace.member".to_owned(), column.to_owned())];
        assert_eq!(cell, "with (manager, workspace.tenant.regular) or (manager, workspace.tenant.admin)");
    }
}

#[test]
fn audiostack_s_statements() {
    let cells = committed("audiostack");
    let content = ["file", "workflow", "voice"];
    for kind in content {
        let row = |role: &str| format!("{kind}.{role}");
        says(
            &cells,
            &[
                ("Owner", "all content", &row("org.owner"), &["can_access", "can_set_permissions"], "yes"),
                ("Admin", "all content", &row("org.admin"), &["can_access", "can_set_permissions"], "yes"),
                ("User", "when granted by an admin", &row("org.user"), &["can_access"], "with granted"),
                ("User", "sets no permissions", &row("org.user"), &["can_set_permissions"], "no"),
                ("Parent's owner", "the child's content", &row("org.parent.owner"), &["can_access"], "yes"),
                ("Parent's admin", "the child's content", &row("org.parent.admin"), &["can_access"], "yes"),
                ("Parent's user", "not the child's content", &row("org.parent.user"), &["can_access"], "no"),
                // One person's grant counts within the organisation only.
                ("User", "a grant", &row("granted"), &["can_access"], "with org.user"),
            ],
        );
    }
    says(
        &cells,
        &[
            ("User", "a set of users", "voice.granted(group#member)", &["can_access"], "with org.user"),
            // Available across the whole organisation: the grant is to the users of the voice's own.
            (
                "User",
                "the whole organisation",
                "voice.granted(org#user)",
                &["can_access"],
                "with org=granted(org#user)",
            ),
            ("User", "uses AudioStack", "org.user", &["can_use_audiostack"], "yes"),
            ("Admin", "uses AudioStack", "org.admin", &["can_use_audiostack"], "yes"),
            ("Owner", "uses AudioStack", "org.owner", &["can_use_audiostack"], "yes"),
            (
                "Admin",
                "sets permissions",
                "org.admin",
                &["can_set_permissions", "can_access_all_content"],
                "yes",
            ),
            ("User", "sets none", "org.user", &["can_set_permissions", "can_access_all_content"], "no"),
            (
                "Parent's owner",
                "assumes the child",
                "org.parent.owner",
                &["can_assume", "can_see_parent"],
                "yes",
            ),
            (
                "Parent's admin",
                "assumes the child",
                "org.parent.admin",
                &["can_assume", "can_see_parent"],
                "yes",
            ),
            ("Parent's user", "assumes nothing", "org.parent.user", &["can_assume", "can_see_parent"], "no"),
            (
                "Child's owner",
                "is not aware of the parent",
                "org.owner",
                &["can_assume", "can_see_parent", "overseer"],
                "no",
            ),
            ("Parent", "pays for the child", "org.parent", &["payer"], "yes"),
            (
                "Owner",
                "another organisation, Enterprise",
                "org.owner",
                &["can_create_org"],
                "with enterprise",
            ),
            ("Admin", "creates no organisation", "org.admin", &["can_create_org"], "no"),
            (
                "Admin",
                "shares outside, Enterprise",
                "org.admin",
                &["can_share_outside", "can_administer"],
                "with enterprise",
            ),
            ("User", "shares nothing outside", "org.user", &["can_share_outside", "can_administer"], "no"),
            ("Owner", "another's key", "api_key.org.owner", &["can_use", "can_regenerate"], "with holder"),
            (
                "Parent's owner",
                "the child's keys",
                "api_key.org.parent.owner",
                &["can_use", "can_regenerate"],
                "no",
            ),
        ],
    );
    // The child never reaches the parent: no row leads down from an organisation to its children.
    assert!(cells.keys().all(|(row, _)| !row.contains("child")));
}
