"""The isolation matrix: every route and WebSocket × nine principals × their own team and another one."""
