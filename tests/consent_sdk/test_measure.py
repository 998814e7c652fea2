"""What a page reports of itself: how fast it was and what was seen, by consent state and model, without a name."""

import time

MODEL = "0123456789ab"
HIDE = """async () => {
  Object.defineProperty(document, "hidden", { get: () => true, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
  delete document.hidden;
}"""


def reported(tab, is_enough):
    """Hide and show the page until its reports are enough; all that came, as the requests carried them."""
    deadline = time.monotonic() + 240
    while True:
        tab.page.evaluate(HIDE)
        requests = tab.page.request.get(f"{tab.site}/reports").json()
        if is_enough([report for request in requests for report in request["vitals"]]):
            return requests
        assert time.monotonic() < deadline, requests
        tab.page.wait_for_timeout(50)


def of(reports, name):
    return [report for report in reports if report["name"] == name]


def test_vitals_impressions_and_clicks_go_out_without_a_cookie(tab):
    """By the consent state and model of what was shown; a yes is measured to its paint."""
    tab.open("/measured")
    for method in ("POST", *["GET"] * 20):
        tab.fault(method, path="/v1/consent", adding={"models": {"contextual": MODEL}})
    tab.page.locator("img").click()
    tab.until("window.touched")
    tab.do("await consent.grant('contextual');")
    tab.until("document.querySelector('img').dataset.consentCategory === 'contextual'")
    requests = reported(
        tab,
        lambda reports: (
            of(reports, "impression")
            and any(report["state"] == "contextual" for report in of(reports, "impression"))
            and of(reports, "swap-to-paint")
        ),
    )
    reports = [report for request in requests for report in request["vitals"]]

    assert {request["cookie"] for request in requests} == {None}
    assert {"LCP", "INP", "CLS", "FCP", "TTFB"} <= {report["name"] for report in reports}
    assert of(reports, "LCP")[0]["state"] == of(reports, "FCP")[0]["state"] == "default"
    assert of(reports, "click") == [{"name": "click", "slot": "home-hero", "state": "default"}]
    swap = of(reports, "swap-to-paint")[0]
    assert (swap["slot"], swap["state"], swap["model"], swap["value"] > 0) == ("home-hero", "contextual", MODEL, True)
    seen = {"name": "impression", "slot": "home-hero", "state": "contextual", "model": MODEL}
    assert of(reports, "impression").count(seen) == 1


def test_a_vital_is_said_once_however_often_the_page_is_hidden(tab):
    """A tab that one comes back to all day is one page."""
    tab.open("/measured")
    tab.page.locator("img").click()
    tab.until("window.touched")
    reported(tab, lambda reports: of(reports, "impression"))
    reports = [report for request in reported(tab, bool) for report in request["vitals"]]

    assert [len(of(reports, name)) for name in ("LCP", "INP", "CLS", "FCP", "TTFB")] == [1] * 5
