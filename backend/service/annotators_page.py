"""The administrator's page on annotators: how much each has done, how fast and how well."""

from flask import Blueprint, Response, render_template

from backend.service.plugin import Service
from labeler.review.annotators import annotator_statistics, to_csv


def annotators_routes(service: Service) -> Blueprint:
    """Return the routes of the page and of the same figures as CSV."""
    routes = Blueprint("annotators", __name__)

    @routes.get("/annotators")
    def page() -> str:
        found = annotator_statistics(service.workspace)
        name = service.workspace.root.resolve().name
        return render_template("annotators.html", workspace=name, annotators=found)

    @routes.get("/annotators.csv")
    def table() -> Response:
        found = to_csv(annotator_statistics(service.workspace))
        headers = {"Content-Disposition": "attachment; filename=annotators.csv"}
        return Response(found, content_type="text/csv; charset=utf-8", headers=headers)

    return routes
