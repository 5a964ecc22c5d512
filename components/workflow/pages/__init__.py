"""The Markdown pages of the stages, which a flow run and the registry show: one module per stage."""
