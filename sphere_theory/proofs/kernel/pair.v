(* One pair of neurons, as functions of the angle between them. *)
From Coq Require Import Reals Lra Lia Psatz.
From SphereTheory Require Import definitions.
Open Scope R_scope.

(* ---------- 1. derivatives: the standard library's, put so that they compose ---------- *)

Lemma dl_eq f x l m : derivable_pt_lim f x l -> l = m -> derivable_pt_lim f x m.
Proof. now intros H <-. Qed.
Lemma dl_id x : derivable_pt_lim (fun t => t) x 1.
Proof. apply derivable_pt_lim_id. Qed.
Lemma dl_const c x : derivable_pt_lim (fun _ => c) x 0.
Proof. apply derivable_pt_lim_const. Qed.
Lemma dl_plus f g x l m : derivable_pt_lim f x l -> derivable_pt_lim g x m ->
  derivable_pt_lim (fun t => f t + g t) x (l + m).
Proof. apply derivable_pt_lim_plus. Qed.
Lemma dl_minus f g x l m : derivable_pt_lim f x l -> derivable_pt_lim g x m ->
  derivable_pt_lim (fun t => f t - g t) x (l - m).
Proof. apply derivable_pt_lim_minus. Qed.
Lemma dl_opp f x l : derivable_pt_lim f x l -> derivable_pt_lim (fun t => - f t) x (- l).
Proof. apply derivable_pt_lim_opp. Qed.
Lemma dl_mult f g x l m : derivable_pt_lim f x l -> derivable_pt_lim g x m ->
  derivable_pt_lim (fun t => f t * g t) x (l * g x + f x * m).
Proof. apply derivable_pt_lim_mult. Qed.
Lemma dl_div f c x l : derivable_pt_lim f x l -> derivable_pt_lim (fun t => f t / c) x (l / c).
Proof.
  intros H. eapply dl_eq.
  - apply (dl_mult f (fun _ => / c)); [ exact H | apply dl_const ].
  - unfold Rdiv. ring.
Qed.
Lemma dl_inv f x l : derivable_pt_lim f x l -> f x <> 0 ->
  derivable_pt_lim (fun t => 1 / f t) x (- l / (f x * f x)).
Proof.
  intros H Hx. eapply dl_eq; [ apply (derivable_pt_lim_div (fun _ => 1) f);
    [ apply dl_const | exact H | exact Hx ] | ].
  unfold Rsqr. field. exact Hx.
Qed.
Lemma dl_exp f x l : derivable_pt_lim f x l -> derivable_pt_lim (fun t => exp (f t)) x (exp (f x) * l).
Proof. intros H. apply (derivable_pt_lim_comp f exp); [ exact H | apply derivable_pt_lim_exp ]. Qed.
Lemma dl_ln f x l : derivable_pt_lim f x l -> 0 < f x -> derivable_pt_lim (fun t => ln (f t)) x (/ f x * l).
Proof. intros H Hx. apply (derivable_pt_lim_comp f ln); [ exact H | now apply derivable_pt_lim_ln ]. Qed.
Lemma dl_sin f x l : derivable_pt_lim f x l -> derivable_pt_lim (fun t => sin (f t)) x (cos (f x) * l).
Proof. intros H. apply (derivable_pt_lim_comp f sin); [ exact H | apply derivable_pt_lim_sin ]. Qed.
Lemma dl_cos f x l : derivable_pt_lim f x l -> derivable_pt_lim (fun t => cos (f t)) x (- sin (f x) * l).
Proof. intros H. apply (derivable_pt_lim_comp f cos); [ exact H | apply derivable_pt_lim_cos ]. Qed.
Lemma power_pred x a : 0 < x -> Rpower x (a - 1) = Rpower x a / x.
Proof. intros Hx. unfold Rminus. now rewrite Rpower_plus, (Rpower_Ropp _ 1), Rpower_1 by exact Hx. Qed.
Lemma dl_power f a x l : derivable_pt_lim f x l -> 0 < f x ->
  derivable_pt_lim (fun t => Rpower (f t) a) x (a * Rpower (f x) (a - 1) * l).
Proof.
  intros H Hx. eapply dl_eq; [ apply (dl_exp (fun t => a * ln (f t))) | ].
  - apply (dl_mult (fun _ => a)); [ apply dl_const | now apply dl_ln; [ exact H | ] ].
  - rewrite power_pred by exact Hx. unfold Rpower. field. lra.
Qed.

(* by the form of the function; positive bases and arguments of logarithms are left to prove *)
Ltac derive := repeat (cbv beta; lazymatch goal with
  | |- derivable_pt_lim (fun t => t) _ _ => apply dl_id
  | |- derivable_pt_lim (fun _ => ?c) _ _ => apply dl_const
  | |- derivable_pt_lim (Rmult ?c) _ _ => apply (dl_mult (fun _ => c) (fun t => t))
  | |- derivable_pt_lim sin _ _ => apply (dl_sin (fun t => t))
  | |- derivable_pt_lim (fun t => @?f t + @?g t) _ _ => apply (dl_plus f g)
  | |- derivable_pt_lim (fun t => @?f t - @?g t) _ _ => apply (dl_minus f g)
  | |- derivable_pt_lim (fun t => @?f t * @?g t) _ _ => apply (dl_mult f g)
  | |- derivable_pt_lim (fun t => @?f t / ?c) _ _ => apply (dl_div f c)
  | |- derivable_pt_lim (fun t => - @?f t) _ _ => apply (dl_opp f)
  | |- derivable_pt_lim (fun t => Rpower (@?f t) ?a) _ _ => apply (dl_power f a)
  | |- derivable_pt_lim (fun t => exp (@?f t)) _ _ => apply (dl_exp f)
  | |- derivable_pt_lim (fun t => ln (@?f t)) _ _ => apply (dl_ln f)
  | |- derivable_pt_lim (fun t => sin (@?f t)) _ _ => apply (dl_sin f)
  | |- derivable_pt_lim (fun t => cos (@?f t)) _ _ => apply (dl_cos f)
  end).

(* a derivative that is nowhere positive *)
Lemma decreasing f f' a b : a <= b -> (forall c, a <= c <= b -> derivable_pt_lim f c (f' c)) ->
  (forall c, a <= c <= b -> f' c <= 0) -> f b <= f a.
Proof.
  intros [Hab | ->] Hf Hs; [ | lra ].
  destruct (MVT_cor2 f f' a b Hab Hf) as [c [Hc Hin]].
  assert (f' c <= 0) by (apply Hs; lra). nra.
Qed.

(* ---------- 2. e(θ) = D^(−s), ln(1/D) at s = 0, and h(θ), for D = 2 sin(θ/2) ---------- *)

Lemma sin_half_pos x : 0 < x <= PI -> 0 < sin (x / 2).
Proof. intros [H1 H2]. apply sin_gt_0; pose proof PI_RGT_0; lra. Qed.

Lemma cos_half_nonneg x : 0 < x <= PI -> 0 <= cos (x / 2).
Proof. intros [H1 H2]. apply cos_ge_0; pose proof PI_RGT_0; lra. Qed.

Section Exponent.
Variable s : R.

(* the energy of a pair by its distance: −(f/2) D^(−s−1) *)
Lemma potential_slope D : 0 < D -> derivable_pt_lim (potential s) D (- (factor s / 2 * Rpower D (- s - 1))).
Proof.
  intros HD. unfold potential, factor. destruct (Req_EM_T s 0) as [-> | Hs].
  - eapply dl_eq.
    + apply dl_ln; [ apply dl_inv; [ derive | lra ] | apply Rdiv_lt_0_compat; lra ].
    + replace (- 0 - 1) with (- (1)) by ring. rewrite Rpower_Ropp, Rpower_1 by lra. cbv beta; field. lra.
  - eapply dl_eq; [ derive; lra | cbv beta; field ].
Qed.

Hypothesis s_nonneg : 0 <= s.

Lemma factor_pos : 0 < factor s.
Proof. unfold factor. destruct (Req_EM_T s 0); lra. Qed.

Lemma h_nonneg x : 0 < x <= PI -> 0 <= h s x.
Proof. intros Hx. apply Rmult_le_pos; [ left; apply exp_pos | now apply cos_half_nonneg ]. Qed.

(* and by its angle: e' = −(f/2) h, for e(θ) = D^(−s), and ln(1/D) at s = 0 *)
Lemma potential_deriv x : 0 < x <= PI ->
  derivable_pt_lim (fun t => potential s (2 * sin (t / 2))) x (- (factor s / 2 * h s x)).
Proof.
  intros Hx. pose proof (sin_half_pos x Hx) as HS. eapply dl_eq.
  - apply (derivable_pt_lim_comp (fun t => 2 * sin (t / 2)) (potential s));
      [ derive | apply potential_slope; lra ].
  - unfold h. cbv beta. field.
Qed.

(* −h'/h ≥ 1: h(θ) e^θ decreases *)
Lemma h_steep y x : 0 < y -> y <= x -> x <= PI -> h s x <= h s y * exp (- (x - y)).
Proof.
  intros Hy Hyx Hx.
  set (k := fun t => h s t * exp t).
  set (k' := fun t => Rpower (2 * sin (t / 2)) (- s - 1) * exp t / (2 * sin (t / 2)) *
    (2 * sin (t / 2) * cos (t / 2) - sin (t / 2) * sin (t / 2) - (s + 1) * (cos (t / 2) * cos (t / 2)))).
  assert (H : k x <= k y).
  { apply (decreasing k k'); [ exact Hyx | | ]; intros c Hc; pose proof (sin_half_pos c ltac:(lra)) as HS.
    - unfold k, h. eapply dl_eq; [ derive; cbv beta; lra | cbv beta ].
      rewrite power_pred by lra. unfold k'. field. lra.
    - assert (HP : 0 < Rpower (2 * sin (c / 2)) (- s - 1) * exp c / (2 * sin (c / 2))).
      { apply Rdiv_lt_0_compat; [ apply Rmult_lt_0_compat; apply exp_pos | lra ]. }
      assert (HC : 0 <= s * (cos (c / 2) * cos (c / 2)))
        by (apply Rmult_le_pos; [ exact s_nonneg | apply Rle_0_sqr ]).
      pose proof (Rle_0_sqr (cos (c / 2) - sin (c / 2))) as HQ. unfold Rsqr in HQ.
      unfold k'. set (p := Rpower _ _ * _ / _) in *. set (S := sin (c / 2)) in *. set (C := cos (c / 2)) in *.
      assert (2 * S * C - S * S - (s + 1) * (C * C) <= 0) by lra.
      rewrite <- (Rmult_0_r p). apply Rmult_le_compat_l; lra. }
  unfold k in H. apply (Rmult_le_reg_r (exp x)); [ apply exp_pos | ].
  rewrite Rmult_assoc, <- exp_plus. replace (- (x - y) + x) with y by ring. exact H.
Qed.

Lemma potential_decr x y : 0 < x -> x <= y -> y <= PI ->
  potential s (2 * sin (y / 2)) <= potential s (2 * sin (x / 2)).
Proof.
  intros Hx Hxy Hy.
  apply (decreasing (fun t => potential s (2 * sin (t / 2))) (fun t => - (factor s / 2 * h s t)));
    [ exact Hxy | | ]; intros c Hc.
  - apply potential_deriv; lra.
  - pose proof factor_pos. pose proof (h_nonneg c ltac:(lra)). nra.
Qed.

Lemma exp_opp_le a b : a <= b -> exp (- b) <= exp (- a).
Proof. intros [H | ->]; [ left; apply exp_increasing; lra | lra ]. Qed.

Lemma exp_opp_le_1 a : 0 <= a -> exp (- a) <= 1.
Proof.
  intros H. rewrite <- exp_0. replace (exp 0) with (exp (- 0)) by (f_equal; ring). now apply exp_opp_le.
Qed.

(* the angle falls from x to y: the energy of the pair rises by at most (f/2) h(y) (1 − e^(−(x−y))) *)
Lemma potential_rise y x : 0 < y -> y <= x -> x <= PI ->
  potential s (2 * sin (y / 2)) - potential s (2 * sin (x / 2)) <=
    factor s / 2 * h s y * (1 - exp (- (x - y))).
Proof.
  intros Hy Hyx Hx.
  set (g := fun t => factor s / 2 * h s y * exp (- (t - y)) - potential s (2 * sin (t / 2))).
  assert (H : g x <= g y).
  { apply (decreasing g (fun t => factor s / 2 * (h s t - h s y * exp (- (t - y))))); [ exact Hyx | | ];
      intros c Hc.
    - unfold g. eapply dl_eq.
      + apply dl_minus; [ derive | apply potential_deriv; lra ].
      + cbv beta; field.
    - pose proof factor_pos. pose proof (h_steep y c Hy ltac:(lra) ltac:(lra)). nra. }
  unfold g in H. replace (- (y - y)) with 0 in H by ring. rewrite exp_0 in H. lra.
Qed.

(* one pair, whatever the edit: its angle falls by at most a + b *)
Theorem pair_rise y x a b : 0 < y <= PI -> 0 < x <= PI -> 0 <= a -> 0 <= b -> x - y <= a + b ->
  potential s (2 * sin (y / 2)) - potential s (2 * sin (x / 2)) <=
    factor s / 2 * h s y * ((1 - exp (- a)) + (1 - exp (- b))).
Proof.
  intros Hy Hx Ha Hb Hab.
  pose proof (exp_opp_le_1 a Ha) as Ea. pose proof (exp_opp_le_1 b Hb) as Eb.
  assert (Hp : 0 <= factor s / 2 * h s y).
  { pose proof factor_pos. pose proof (h_nonneg y Hy). apply Rmult_le_pos; lra. }
  destruct (Rle_lt_dec y x) as [Hyx | Hxy].
  - pose proof (potential_rise y x ltac:(lra) Hyx ltac:(lra)) as H.
    assert (E : exp (- (a + b)) <= exp (- (x - y))) by (apply exp_opp_le; lra).
    replace (- (a + b)) with (- a + - b) in E by ring. rewrite exp_plus in E.
    assert (1 - exp (- (x - y)) <= (1 - exp (- a)) + (1 - exp (- b))) by nra.
    eapply Rle_trans; [ exact H | ]. now apply Rmult_le_compat_l.
  - pose proof (potential_decr x y ltac:(lra) ltac:(lra) ltac:(lra)) as H.
    assert (0 <= factor s / 2 * h s y * ((1 - exp (- a)) + (1 - exp (- b)))) by (apply Rmult_le_pos;
      lra). lra.
Qed.
End Exponent.

(* 1 − e^(−δ) ≤ δ, and ≤ sin δ up to a right angle *)
Lemma one_minus_exp a : 1 - exp (- a) <= a.
Proof. pose proof (exp_ineq1_le (- a)). lra. Qed.

Lemma sin_above a : 0 <= a <= PI / 2 -> 1 - exp (- a) <= sin a.
Proof.
  intros Ha. pose proof PI_RGT_0 as HPI.
  assert (H : exp a * (1 - sin a) <= exp 0 * (1 - sin 0)).
  { apply (decreasing (fun t => exp t * (1 - sin t)) (fun t => exp t * (1 - sin t - cos t))); [ lra | | ];
      intros c Hc.
    - eapply dl_eq; [ derive | cbv beta; ring ].
    - pose proof (exp_pos c). pose proof (sin2_cos2 c) as Q. unfold Rsqr in Q.
      assert (0 <= sin c) by (apply sin_ge_0; lra). assert (0 <= cos c) by (apply cos_ge_0; lra).
      assert (1 <= sin c + cos c) by nra. nra. }
  rewrite exp_0, sin_0 in H.
  assert (H1 : exp (- a) * (exp a * (1 - sin a)) <= exp (- a) * (1 * (1 - 0))).
  { apply Rmult_le_compat_l; [ left; apply exp_pos | exact H ]. }
  rewrite <- Rmult_assoc, <- exp_plus, Rplus_opp_l, exp_0 in H1. lra.
Qed.
