"""The web page and JSON endpoint of ``lead demo``: FastAPI for the answers, uvicorn for HTTP."""
