//! `/admin/v1/tenants/{slug}/users` and the sessions under them.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use app::credentials::password;
use app::sessions;
use app::users::{self, ChangeUser, CreateUser, NewPassword, PasswordUse};
use domain::ids::{FamilyId, UserId};
use domain::password::Password;
use domain::secret::Secret;
use domain::text::{Email, Username};
use domain::token::family::RevocationCause;
use domain::user::{CustomClaims, Roles, User, UserNames, UserStatus};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::session_view;
use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::address::Named;
use crate::extract::json::{Json, present};
use crate::extract::origin::From;
use crate::extract::page::{Page, PageQuery};
use crate::state::ApiState;

fn view(user: &User) -> Value {
    let (status, disabled_at) = match user.status {
        UserStatus::Active => ("active", None),
        UserStatus::Disabled { at } => ("disabled", Some(at)),
    };
    json!({
        "id": user.id, "username": user.names.username(), "email": user.names.email(), "status": status, "disabled_at": disabled_at,
        "roles": user.roles, "claims": user.claims, "created_at": user.created_at, "updated_at": user.updated_at,
        "password_changed_at": user.password_changed_at, "email_verified_at": user.email_verified_at,
        "password_change_required_at": user.password_change_required_at,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateForm {
    username: Option<Username>,
    email: Option<Email>,
    password: Option<Secret<String>>,
    /// A hash made by another system, instead of a password.
    password_hash: Option<Secret<String>>,
    #[serde(default)]
    roles: Roles,
    #[serde(default)]
    claims: CustomClaims,
    /// Whether the password is good for choosing another one alone.
    #[serde(default)]
    must_change: bool,
}

pub(crate) async fn create(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    from: From,
    form: Json<CreateForm>,
) -> Result<HttpResponse, Problem> {
    let form = form.0;
    let new_password = match (form.password, form.password_hash) {
        (Some(plain), None) => NewPassword::Plain(Password::parse(plain.expose())?),
        (None, Some(hash)) => NewPassword::Hashed(password::import(hash.expose())?),
        (None, None) => NewPassword::None,
        (Some(_), Some(_)) => return Err(Problem::bad_request("Send password or password_hash, not both.")),
    };
    let command = CreateUser {
        names: UserNames::new(form.username, form.email)?,
        password: new_password,
        roles: form.roles,
        claims: form.claims,
        must_change: form.must_change,
    };
    let user = users::create(&state.ctx, &tenant, command, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Created().insert_header((LOCATION, format!("/admin/v1/tenants/{}/users/{}", tenant.slug, user.id))).json(view(&user)))
}

pub(crate) async fn list(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit()?;
    let rows = users::list(&state.ctx, &tenant, query.after()?, limit).await?;
    Ok(HttpResponse::Ok().json(Page::new(rows, limit, |user| user.id.to_string(), |user| view(&user))))
}

pub(crate) async fn get(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    Named(id): Named<UserId>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(view(&users::get(&state.ctx, &tenant, id).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeForm {
    #[serde(default, deserialize_with = "present")]
    username: Option<Option<Username>>,
    #[serde(default, deserialize_with = "present")]
    email: Option<Option<Email>>,
    roles: Option<Roles>,
    claims: Option<CustomClaims>,
    must_change: Option<bool>,
}

pub(crate) async fn change(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<UserId>,
    from: From,
    form: Json<ChangeForm>,
) -> Result<HttpResponse, Problem> {
    let ChangeForm { username, email, roles, claims, must_change } = form.0;
    let command = ChangeUser { username, email, roles, claims, is_active: None, must_change };
    Ok(HttpResponse::Ok().json(view(&users::change(&state.ctx, &tenant, id, command, admin.actor(), &from.0).await?)))
}

pub(crate) async fn disable(
    state: web::Data<ApiState>,
    by: AdminOf,
    Named(id): Named<UserId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    set_active(&state, by, id, &from, false).await
}

pub(crate) async fn enable(state: web::Data<ApiState>, by: AdminOf, Named(id): Named<UserId>, from: From) -> Result<HttpResponse, Problem> {
    set_active(&state, by, id, &from, true).await
}

async fn set_active(
    state: &ApiState,
    AdminOf { admin, tenant }: AdminOf,
    id: UserId,
    from: &From,
    is_active: bool,
) -> Result<HttpResponse, Problem> {
    let command = ChangeUser { is_active: Some(is_active), ..ChangeUser::default() };
    Ok(HttpResponse::Ok().json(view(&users::change(&state.ctx, &tenant, id, command, admin.actor(), &from.0).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordForm {
    password: Secret<String>,
    #[serde(default)]
    must_change: bool,
}

pub(crate) async fn set_password(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<UserId>,
    from: From,
    Json(form): Json<PasswordForm>,
) -> Result<HttpResponse, Problem> {
    let plain = Password::parse(form.password.expose())?;
    let good_for = if form.must_change { PasswordUse::Change } else { PasswordUse::LogIn };
    users::set_password(&state.ctx, &tenant, id, plain, good_for, admin.actor(), &from.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn delete(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<UserId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    users::delete(&state.ctx, &tenant, id, admin.actor(), &from.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(crate) async fn sessions(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    Named(id): Named<UserId>,
) -> Result<HttpResponse, Problem> {
    users::get(&state.ctx, &tenant, id).await?;
    let items: Vec<_> = sessions::list(&state.ctx, &tenant, id).await?.iter().map(|family| session_view(family, None)).collect();
    Ok(HttpResponse::Ok().json(json!({ "items": items })))
}

pub(crate) async fn end_sessions(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<UserId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    users::get(&state.ctx, &tenant, id).await?;
    let ended = sessions::end_all(&state.ctx, &tenant, id, RevocationCause::AdminRequest, admin.actor(), &from.0).await?;
    Ok(HttpResponse::Ok().json(json!({ "ended": ended })))
}

pub(crate) async fn end_session(
    state: web::Data<ApiState>,
    AdminOf { admin, tenant }: AdminOf,
    Named(id): Named<UserId>,
    Named(session): Named<FamilyId>,
    from: From,
) -> Result<HttpResponse, Problem> {
    if sessions::end(&state.ctx, &tenant, id, session, RevocationCause::AdminRequest, admin.actor(), &from.0).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(Problem::not_found())
    }
}
