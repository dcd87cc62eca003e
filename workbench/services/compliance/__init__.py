"""The compliance programme for pages and routes: every function asks first whether the person may.

Collections go by name or id, requirements by id, analyses by the id of their job.
"""

from workbench.services.compliance.analyses import (
    AnalysisCard,
    AnalysisView,
    MatchCard,
    ReviewCard,
    delete_analysis,
    document_text,
    list_analyses,
    load_analysis,
    start_compliance,
)
from workbench.services.compliance.dashboard import Dashboard, PolicyCard, dashboard
from workbench.services.compliance.requirements import (
    RequirementCard,
    edit_requirement,
    extract_requirements,
    import_requirements,
    list_requirements,
    merge_requirements,
    policy_version,
    requirement_history,
    switch_requirement,
    write_requirement,
)
from workbench.services.compliance.reviews import OpenReview, open_reviews, review_verdict

__all__ = [
    "AnalysisCard",
    "AnalysisView",
    "Dashboard",
    "MatchCard",
    "OpenReview",
    "PolicyCard",
    "RequirementCard",
    "ReviewCard",
    "dashboard",
    "delete_analysis",
    "document_text",
    "edit_requirement",
    "extract_requirements",
    "import_requirements",
    "list_analyses",
    "list_requirements",
    "load_analysis",
    "merge_requirements",
    "open_reviews",
    "policy_version",
    "requirement_history",
    "review_verdict",
    "start_compliance",
    "switch_requirement",
    "write_requirement",
]
