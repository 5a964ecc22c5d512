"""What leaves a run: registered versions, the export for an ad server; and the champion as it comes back."""
