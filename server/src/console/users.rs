//! Pengguna: users, their roles and the audit trail.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::page::{Page, PageError, Section, View, render};
use super::trail::{self, Thing};
use crate::access::manage::{self, ManageError, NewUser};
use crate::access::{Right, Role, new_password};
use crate::app::App;
use crate::http::{ApiError, Caller, Routes};
use crate::records::RecordsError;
use crate::records::audit::Entry;
use crate::records::users::User;

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/pengguna", Right::ViewAccess, "users and the audit trail", list)
        .form("/pengguna", Right::ManageAccess, "add a user", add)
        .page("/pengguna/{username}", Right::ManageAccess, "one user, to change", edit)
        .form("/pengguna/{username}/peran", Right::ManageAccess, "replace a user's roles", set_roles)
        .form("/pengguna/{username}/nonaktif", Right::ManageAccess, "let a user sign in no more", disable)
        .form("/pengguna/{username}/aktif", Right::ManageAccess, "let a user sign in again", enable)
        .form("/pengguna/{username}/sandi", Right::ManageAccess, "give a user a new password", reset_password)
}

/// Entries of the audit trail on the page.
const TRAIL_ENTRIES: u32 = 200;

/// Fields of a form, so that a box that may be ticked several times is read whole.
type Fields = Form<Vec<(String, String)>>;

/// A role to tick.
struct RoleBox {
    code: &'static str,
    name: String,
    ticked: bool,
}

fn role_boxes(page: &Page, ticked: &[Role]) -> Vec<RoleBox> {
    Role::ALL
        .into_iter()
        .map(|role| RoleBox {
            code: role.code(),
            name: role_name(page, role),
            ticked: ticked.contains(&role),
        })
        .collect()
}

/// Name of a role for people.
pub(super) fn role_name(page: &Page, role: Role) -> String {
    page.t(&format!("role.{}", role.code()))
}

fn ticked_roles(fields: &[(String, String)]) -> Vec<Role> {
    let mut roles: Vec<Role> = fields
        .iter()
        .filter(|(name, _)| name == "peran")
        .filter_map(|(_, code)| Role::from_code(code))
        .collect();
    roles.sort_unstable();
    roles.dedup();
    roles
}

fn field<'a>(fields: &'a [(String, String)], wanted: &str) -> &'a str {
    fields.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.trim())
}

struct UserRow {
    username: String,
    display_name: String,
    roles: Vec<String>,
    disabled: Option<String>,
}

/// An entry of the audit trail, worded; the code of the action stays beside its words.
struct TrailRow {
    at: String,
    actor: String,
    action: String,
    code: String,
    subject: String,
    /// Page of what it is about.
    address: Option<String>,
    detail: String,
}

impl TrailRow {
    fn new(page: &Page, entry: Entry, thing: &Thing) -> Self {
        let (subject, address) = trail::subject(page, thing);
        Self {
            at: page.datetime_seconds(entry.at_ms),
            actor: page.actor(&entry.actor),
            action: trail::action(page, &entry.action),
            detail: trail::detail(page, &entry.action, &entry.detail),
            code: entry.action,
            subject,
            address,
        }
    }
}

/// A password that is shown once.
struct NewPassword {
    username: String,
    password: String,
}

#[derive(Template)]
#[template(path = "users/list.html")]
struct ListTemplate<'a> {
    page: &'a Page,
    users: Vec<UserRow>,
    trail: Vec<TrailRow>,
    may_manage: bool,
    problem: Option<String>,
    shown_once: Option<NewPassword>,
    roles: Vec<RoleBox>,
    username: String,
    display_name: String,
}

async fn list_template<'a>(app: &App, page: &'a Page) -> Result<ListTemplate<'a>, ApiError> {
    let (users, trail) = manage::users_and_trail(app, TRAIL_ENTRIES).await?;
    let named = app.records.run(move |db| {
        let things = trail.into_iter().map(|entry| Ok((trail::thing(db, &entry)?, entry)));
        things.collect::<Result<Vec<_>, RecordsError>>()
    });
    let trail = named.await?;
    let users = users
        .into_iter()
        .map(|user| UserRow {
            roles: user.roles.iter().map(|role| role_name(page, *role)).collect(),
            disabled: user.disabled_at_ms.map(|at| page.datetime(at)),
            username: user.username,
            display_name: user.display_name,
        })
        .collect();
    let trail = trail.into_iter().map(|(thing, entry)| TrailRow::new(page, entry, &thing)).collect();
    Ok(ListTemplate {
        page,
        users,
        trail,
        may_manage: page.may(Right::ManageAccess),
        problem: None,
        shown_once: None,
        roles: role_boxes(page, &[]),
        username: String::new(),
        display_name: String::new(),
    })
}

async fn list(State(app): State<App>, view: View) -> Result<Response, PageError> {
    let page = view.page(Section::Users);
    let answer = async { Ok(render(&list_template(&app, &page).await?)?.into_response()) };
    answer.await.map_err(|e: ApiError| PageError::new(&page, e))
}

/// The sentence for people, or the error as a page.
fn problem_text(page: &Page, error: ManageError) -> Result<(StatusCode, String), ApiError> {
    match error.key() {
        Some(key) => Ok((ApiError::from(error).status(), page.t(key))),
        None => Err(error.into()),
    }
}

async fn add(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Form(fields): Fields,
) -> Result<Response, PageError> {
    let page = view.page(Section::Users);
    let password = new_password();
    let new = NewUser {
        username: field(&fields, "username").to_owned(),
        display_name: field(&fields, "display_name").to_owned(),
        password: password.clone(),
        roles: ticked_roles(&fields),
    };
    let answer = async {
        let done = manage::add_user(&app, principal.actor(), new).await;
        let mut template = list_template(&app, &page).await?;
        let status = match done {
            Ok(user) => {
                template.shown_once = Some(NewPassword { username: user.username, password });
                StatusCode::OK
            }
            Err(error) => {
                let (status, text) = problem_text(&page, error)?;
                template.problem = Some(text);
                template.roles = role_boxes(&page, &ticked_roles(&fields));
                template.username = field(&fields, "username").to_owned();
                template.display_name = field(&fields, "display_name").to_owned();
                status
            }
        };
        Ok((status, render(&template)?).into_response())
    };
    answer.await.map_err(|e: ApiError| PageError::new(&page, e))
}

#[derive(Template)]
#[template(path = "users/edit.html")]
struct EditTemplate<'a> {
    page: &'a Page,
    user: User,
    roles: Vec<RoleBox>,
    problem: Option<String>,
    shown_once: Option<NewPassword>,
}

async fn edit_page(
    app: &App,
    page: &Page,
    username: &str,
    problem: Option<ManageError>,
    password: Option<String>,
) -> Result<Response, ApiError> {
    let (users, _) = manage::users_and_trail(app, 0).await?;
    let user = users.into_iter().find(|user| user.username == username);
    let user = user.ok_or_else(|| ApiError::not_found(format!("user {username}")))?;
    let (status, problem) = match problem {
        Some(error) => problem_text(page, error).map(|(status, text)| (status, Some(text)))?,
        None => (StatusCode::OK, None),
    };
    let shown_once = password.map(|password| NewPassword { username: username.to_owned(), password });
    let template = EditTemplate { page, roles: role_boxes(page, &user.roles), user, problem, shown_once };
    Ok((status, render(&template)?).into_response())
}

async fn edit(
    State(app): State<App>,
    view: View,
    Path(username): Path<String>,
) -> Result<Response, PageError> {
    let page = view.page(Section::Users);
    edit_page(&app, &page, &username, None, None).await.map_err(|e| PageError::new(&page, e))
}

/// Back to the list after a change, or the form again with what was wrong.
async fn after<T>(
    app: &App,
    page: &Page,
    username: &str,
    done: Result<T, ManageError>,
) -> Result<Response, PageError> {
    match done {
        Ok(_) => Ok(Redirect::to("/pengguna").into_response()),
        Err(error) => {
            edit_page(app, page, username, Some(error), None).await.map_err(|e| PageError::new(page, e))
        }
    }
}

async fn set_roles(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(username): Path<String>,
    Form(fields): Fields,
) -> Result<Response, PageError> {
    let page = view.page(Section::Users);
    let done = manage::set_roles(&app, principal.actor(), username.clone(), ticked_roles(&fields)).await;
    after(&app, &page, &username, done).await
}

async fn disable(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(username): Path<String>,
) -> Result<Response, PageError> {
    let page = view.page(Section::Users);
    let done = manage::set_disabled(&app, principal.actor(), username.clone(), true).await;
    after(&app, &page, &username, done).await
}

async fn enable(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(username): Path<String>,
) -> Result<Response, PageError> {
    let page = view.page(Section::Users);
    let done = manage::set_disabled(&app, principal.actor(), username.clone(), false).await;
    after(&app, &page, &username, done).await
}

async fn reset_password(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(username): Path<String>,
) -> Result<Response, PageError> {
    let page = view.page(Section::Users);
    let (problem, password) = match manage::reset_password(&app, principal.actor(), username.clone()).await {
        Ok(password) => (None, Some(password)),
        Err(error) => (Some(error), None),
    };
    edit_page(&app, &page, &username, problem, password).await.map_err(|e| PageError::new(&page, e))
}
