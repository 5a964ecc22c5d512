"""Adloom: which ad creative to show to whom, and what that choice is worth.

Rooms, in the order in which data flows. Each imports only from rooms above it:

    errors                             what a user did wrong
    file_names, escaping               names from data -> files; texts from data -> terminals, pages, tables, queries
    addresses                          no secret in a URL, and none shown
    expansion                          how large a file becomes once it is decoded, known before
    config, paths                      settings; locations
    environment, scratch, manifest     what other programs read; writes aside, leftovers; digests
    contract                           what a data set must look like
    outputs                            what a stage writes: whole files, then its manifest
    folders                            local folders that settings name: their files and digests
    store                              files by digest, in a place that two machines share
    world                              the simulated marketplace whose true click-through is known
    datasets                           builds the data sets that come with Adloom
    pictures                           decoding, encoding, near-duplicates
    features                           events -> tables correct as of each impression's time
    interest                           P(click | shopper, creative, context), calibrated
    creatives                          generators, composition, admission
    policy                             eligible creatives -> probability of showing each
    evaluation                         what a policy would have earned: estimates, intervals, verdicts
    lock                               of the registry, and of a data set's artifacts
    signing                            signatures of packages and decisions
    tracking                           the few MLflow calls that stages share
    promotion                          decide() is pure; apply() moves the MLflow alias
    training_log, pages                progress, curves and checkpoints; reports for people
    stages                             read -> call -> write
    handoff                            the creatives stage on a machine that shares no disk
    publication, generation            stage outputs -> registry and export; champion generator -> new creatives
    cli                                the command line
"""
