"""Images, texts and layouts -> ads: chosen, drawn, admitted and kept in a pool per campaign."""
