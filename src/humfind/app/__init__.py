"""``humfind app``: a library as a page and a JSON endpoint, for the machine it runs on unless told otherwise.

library     an index folder held open: what it can be asked, and its recordings
tunes       the library that is there without any set-up: the old tune books
guard       who may ask, how much, and how many at once
server      the endpoint, documented by OpenAPI
page/       the page: one HTML file, its style, its scripts; nothing from elsewhere
"""
