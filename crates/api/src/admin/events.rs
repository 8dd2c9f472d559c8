//! `/admin/v1/tenants/{slug}/events`: the tenant's audit log, newest first.

use actix_web::{HttpResponse, web};
use app::audit;

use crate::admission::AdminOf;
use crate::error::problem::Problem;
use crate::extract::page::{Page, PageQuery};
use crate::state::ApiState;

pub(crate) async fn list(
    state: web::Data<ApiState>,
    AdminOf { tenant, .. }: AdminOf,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit()?;
    let rows = audit::list(&state.ctx, tenant.id, query.after()?, limit).await?;
    Ok(HttpResponse::Ok().json(Page::new(rows, limit, |record| record.id.to_string(), |record| record)))
}
