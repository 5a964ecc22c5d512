"""Publication: registered versions, the export for an ad server, and the champion's snapshot."""
