"""Fetches what is named, http: or https:, and prints how much came:

    aeon run --policy net.yaml --dir sdk/python:/sdk:ro --env PYTHONPATH=/sdk --dir .:/app:ro \\
        python.wasm /app/fetch.py URL...

where net.yaml says who may be reached:

    egress:
      - allow: tcp
        to: [example.org]
        ports: [80, 443]"""
import sys
import urllib.request

for url in sys.argv[1:]:
    with urllib.request.urlopen(url) as answer:
        print(answer.status, url, len(answer.read()))
