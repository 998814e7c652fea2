"""The built-in dashboard: one page that says whether the promises are kept, on the admin listener.

scraping.py   the POPs' Prometheus pages, read every few seconds
figures.py    what they add up to: quantiles, ratios; pure
stored.py     the control plane's own part: POPs, requests, learning, ledger
page.py       the HTML of it all
look.py       its style sheet and its script
routes.py     /, /now, /dashboard.css, /dashboard.js
"""
