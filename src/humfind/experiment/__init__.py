"""Experiments that are kept: composed and swept by Hydra, trained by the shared loop, recorded in MLflow.

tasks      what can be trained, by name: its defaults, its material, its figures
plan       ``loss=triplet,arcface`` -> the configurations of the runs
sweep      runs them, side by side; goes on where it was stopped
records    MLflow: settings, curves, figures and checkpoint of every run; read back and compared
"""
